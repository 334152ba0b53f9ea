"""Secrets of a config in their one place: kept in the user's secret store, and everywhere else only referred to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError
from ..files.documents import DocumentError
from .file import apply_override, config_from_values, config_values
from .overrides import as_overrides
from .run import RunConfig
from .secret_keys import REDACTED, is_literal, secret_keys
from .secret_store import SecretStore, is_reference


class MissingSecretError(ConfigError):
    """A config refers to a secret that this machine does not have, or can't read."""


def with_secrets_kept(config: RunConfig) -> RunConfig:
    """`config` with a reference in place of every literal secret, which the store now has.

    What can't be written is kept by this process alone, and stderr says so: a run is not refused for it.
    """
    values = config_values(config)
    is_changed = _change_literals(values, _kept)
    return config_from_values(values) if is_changed else config


def words_with_secrets_kept(words: Sequence[str]) -> list[str]:
    """The words of a command line, with references in the assignments that set a secret; they start the same run."""
    return [_word_kept(word) for word in words]


def redacted_values(config: RunConfig) -> dict[str, Any]:
    """The values of a config for display: one that was written elsewhere may hold literal secrets."""
    values = config_values(config)
    _change_literals(values, lambda key, text: REDACTED)
    return values


def secret_value(key: str, text: str, store: SecretStore | None = None) -> str:
    """The value of a secret setting, looked up where the text is a reference; `$NAME` stays as it is.

    Raises:
        MissingSecretError: this machine's store does not have it, or can't be read.
    """
    if not is_reference(text):
        return text
    place = store or SecretStore()
    try:
        value = place.value_of(text)
    except (OSError, DocumentError) as error:
        raise MissingSecretError(
            f"{key} = '{text}': its value can't be looked up, so nobody is notified this way: {place.file}: "
            f"{_reason(error)}; correct that, or set the value again with --set {key}=VALUE"
        ) from error
    if value is None:
        raise MissingSecretError(
            f"{key} = '{text}': its value is not on this machine, so nobody is notified this way: secrets stay where "
            f"they were set, and {place.file} lacks this one; set it again with --set {key}=VALUE, or name an "
            "environment variable that holds it"
        )
    return value


def missing_secrets(config: RunConfig, store: SecretStore | None = None) -> list[str]:
    """What is to be said of the secrets that a config refers to and this machine does not have."""
    values, problems = config_values(config), []
    for key in secret_keys():
        try:
            secret_value(key, str(_value_at(values, key)), store)
        except MissingSecretError as error:
            problems.append(str(error))
    return problems


def secrets_in_word(word: str) -> dict[str, str]:
    """The secret settings that a word of a command line assigns, by key, such as `notify.command=./tell.sh`."""
    values = _assigned(word)
    found = {key: _value_at(values, key) for key in secret_keys()}
    return {key: text for key, text in found.items() if isinstance(text, str)}


def _word_kept(word: str) -> str:
    option = "--set=" if word.startswith("--set=") else ""
    assignment = word.removeprefix(option)
    values = _assigned(assignment)
    if not _change_literals(values, _kept):
        return word
    key = assignment.partition("=")[0].strip()
    return option + as_overrides({key: _value_at(values, key)})[0]


def _assigned(word: str) -> dict[str, Any]:
    """The settings that a word of a command line assigns, nested; empty for a word that is no assignment."""
    values: dict[str, Any] = {}
    try:
        apply_override(values, word)
    except ConfigError:
        # Another word of the line, such as a file.
        return {}
    return values


def _kept(key: str, text: str) -> str:
    store = SecretStore()
    try:
        return store.keep(text)
    except (OSError, DocumentError) as error:
        print(
            f"torchdeck: {key} can't be kept in {store.file}, so only this process can use it, and a resume has to be "
            f"given it again: {_reason(error)}",
            file=sys.stderr,
        )
        return store.keep_in_process(text)


def _reason(error: OSError | DocumentError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _change_literals(values: dict[str, Any], change: Callable[[str, str], str]) -> bool:
    """Replace the literal secrets in nested values of a config, in place. Whether there were any."""
    has_changed = False
    for key in secret_keys():
        section, _, name = key.rpartition(".")
        holder = _value_at(values, section)
        text = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(text, str) and is_literal(text):
            holder[name] = change(key, text)
            has_changed = True
    return has_changed


def _value_at(values: dict[str, Any], key: str) -> Any:
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
