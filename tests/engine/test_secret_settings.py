"""Secrets of a config: one private file holds them, and everything else refers to it."""

import json
import multiprocessing
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from torchdeck.engine.config import NotifyConfig, RunConfig
from torchdeck.engine.config.changed_settings import changed_settings
from torchdeck.engine.config.file import dump_config, load_config, parse_config
from torchdeck.engine.config.secret_keys import is_literal, secret_keys
from torchdeck.engine.config.secret_settings import (
    MissingSecretError,
    missing_secrets,
    redacted_values,
    secret_value,
    with_secrets_kept,
    words_with_secrets_kept,
)
from torchdeck.engine.config.secret_store import SecretStore
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.files import exclusive

HOOK = "https://hooks.example.org/TOKEN"
CALL = """curl -H 'Authorization: TOKEN' "https://example.org" """


def telling(command: str = CALL, webhook: str = HOOK) -> RunConfig:
    return RunConfig(notify=NotifyConfig(command=command, webhook=webhook))


def test_a_config_holds_references_and_the_store_the_values_which_only_their_owner_reads() -> None:
    kept = with_secrets_kept(telling())
    assert "TOKEN" not in dump_config(kept)
    notify = kept.notify
    assert secret_value("notify.command", notify.command) == CALL
    assert secret_value("notify.webhook", notify.webhook) == HOOK
    file = SecretStore().file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert parse_config(dump_config(kept), "run.toml") == kept


def test_a_wide_umask_does_not_widen_the_store() -> None:
    before = os.umask(0)
    try:
        with_secrets_kept(telling())
    finally:
        os.umask(before)
    for file in SecretStore().file.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_value_has_one_reference_so_that_two_runs_with_it_do_not_differ() -> None:
    kept = with_secrets_kept(telling())
    assert with_secrets_kept(telling()) == kept
    assert with_secrets_kept(kept) is kept


def test_what_is_named_by_an_environment_variable_or_empty_is_no_secret() -> None:
    plain = telling(command="${TELL}", webhook="$HOOK")
    assert with_secrets_kept(plain) is plain
    assert with_secrets_kept(RunConfig()) == RunConfig()
    assert not SecretStore().file.exists()
    assert is_literal("$HOOK/x") and not is_literal(" ")


@pytest.mark.parametrize(
    "word",
    [
        f"notify.webhook={HOOK}",
        f"--set=notify.webhook={HOOK}",
        f"notify={{webhook='{HOOK}', after_minutes=0.5}}",
        'notify={command="echo \\"TOKEN\\"", after_minutes=0.5}',
        " notify.command =  exit 3 # TOKEN",
    ],
)
def test_words_of_a_command_line_name_the_same_run_without_its_secrets(word: str) -> None:
    (kept,) = words_with_secrets_kept([word])
    assert "TOKEN" not in kept and kept.startswith("--set=") == word.startswith("--set=")
    before, after = (load_config("digits", [each.removeprefix("--set=")]) for each in (word, kept))
    assert with_secrets_kept(before) == after


def test_other_words_stay_as_they_are() -> None:
    words = ["train", "digits", "--set", "optimizer.lr=0.1", "notify.webhook=$HOOK", "notify.on=['failed']", "a=b=c"]
    assert words_with_secrets_kept(words) == words


def test_a_secret_that_this_machine_does_not_have_is_said_by_its_setting(tmp_path: Path) -> None:
    kept, elsewhere = with_secrets_kept(telling()), SecretStore(tmp_path / "other-home" / "secrets.json")
    assert missing_secrets(kept) == []
    said = missing_secrets(kept, elsewhere)
    assert [text.partition(" = ")[0] for text in said] == ["notify.command", "notify.webhook"]
    assert all("not on this machine" in text and str(elsewhere.file) in text for text in said)
    with pytest.raises(MissingSecretError, match=r"--set notify\.webhook="):
        secret_value("notify.webhook", kept.notify.webhook, elsewhere)


def test_a_store_that_can_not_be_written_is_said_and_serves_this_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    kept = with_secrets_kept(telling(command=""))
    said = capsys.readouterr().err
    assert "notify.webhook can't be kept in" in said and "TOKEN" not in said
    assert secret_value("notify.webhook", kept.notify.webhook) == HOOK


def test_a_damaged_store_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    file = SecretStore().file
    file.parent.mkdir(parents=True)
    file.write_text('{"secrets": {"secret:00')
    with_secrets_kept(telling(command=""))
    assert "not valid JSON" in capsys.readouterr().err
    assert file.read_text() == '{"secrets": {"secret:00'


@pytest.mark.parametrize("kind", ["damaged", "no file"])
def test_a_store_that_can_not_be_read_is_said_and_not_taken_for_one_that_lacks_the_secret(kind: str) -> None:
    kept, file = with_secrets_kept(telling(command="")), SecretStore().file
    file.unlink()
    if kind == "damaged":
        file.write_text('{"secrets": {"secret:00')
    else:
        file.mkdir()
    (said,) = missing_secrets(kept)
    assert str(file) in said and "can't be looked up" in said and "lacks" not in said
    assert ("not valid JSON" if kind == "damaged" else "not a regular file") in said


def test_a_lock_that_is_never_released_is_said_and_the_secret_serves_this_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exclusive, "WAIT_SECONDS", 0.05)
    file = SecretStore().file
    file.parent.mkdir(parents=True)
    with exclusive.locked(file.with_suffix(".lock"), "the test"):
        kept = with_secrets_kept(telling(command=""))
    said = capsys.readouterr().err
    assert f"another process has held the lock on {file}" in said
    assert secret_value("notify.webhook", kept.notify.webhook) == HOOK


def _keep(number: int) -> str:
    return SecretStore().keep(f"value {number}")


def test_processes_that_keep_at_once_lose_nothing_of_each_other() -> None:
    # A pool that ends its processes by a signal waits for ever if a handler of this process takes it.
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
        references = list(pool.map(_keep, range(40), chunksize=1))
    entries = json.loads(SecretStore().file.read_text())["secrets"]
    assert [entries[reference] for reference in references] == [f"value {number}" for number in range(40)]


@pytest.mark.parametrize(
    "override",
    [
        "notify.webhook=ftp://TOKEN",
        "notify.webhook https://TOKEN",
        "notify=TOKEN",
        "notify.command.x=TOKEN",
        "notify={webhook='ftp://TOKEN'}",
    ],
)
def test_no_message_about_a_setting_repeats_a_secret(override: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config("digits", [override])
    assert "notify" in str(refused.value) and "TOKEN" not in str(refused.value)
    assert "TOKEN" not in str(refused.value.__cause__)


@pytest.mark.parametrize(
    "text",
    [
        '[notify]\nwebhook = "https://TOKEN\n',
        '[notify]\ncommand = """\ncurl TOKEN\n\x01"""',
        'notify = {webhook = "https://TOKEN", x = }',
        '[notify]\n"command" = TOKEN\n',
        "notify.command = TOKEN\n",
    ],
)
def test_no_message_about_a_line_of_a_file_repeats_a_secret(text: str) -> None:
    with pytest.raises(ConfigError, match="line") as refused:
        parse_config(text, "my.toml")
    assert "TOKEN" not in str(refused.value)


def test_what_is_displayed_of_a_config_from_elsewhere_is_redacted() -> None:
    shown = redacted_values(telling())["notify"]
    assert (shown["command"], shown["webhook"]) == ("[redacted]", "[redacted]")
    difference = changed_settings(RunConfig(), telling())
    assert difference["notify.webhook"] == ("", "[redacted]")


def test_the_settings_with_secrets_are_known_by_their_mark() -> None:
    assert secret_keys() == ("notify.command", "notify.webhook")
