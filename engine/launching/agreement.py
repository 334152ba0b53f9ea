"""Whether the code, commands and web addresses of a config may be used: one rule for every way to start a run.

What the user names may run: the file of a config, words of the command line, an object in a script. A config that came
with a checkpoint or in a run's folder is not the user's, regardless of its author: the code it names must have been
approved before, with the same content. Imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..config import RunConfig
from ..config.file import find_config
from ..config.secret_store import SecretStore, is_reference
from ..errors import ConfigError
from ..runs.on_disk.directory import is_run
from ..user_trust import CodeFile, CodeTrust, Runnable, TrustStore, WebAddress, files_in_words, notifications_in_words


def agree_to_named(config: RunConfig) -> None:
    """Remember the code of the user's own config, so that resuming or evaluating the run asks no question."""
    trust = CodeTrust(TrustStore())
    _remember(trust, trust.unknown_to_train(config))


def check_agreed(config: RunConfig, option: str, *, is_agreed: bool, overrides: Sequence[str] = ()) -> None:
    """Check the code that a config of a checkpoint or run would run.

    Args:
        config: it came with a checkpoint or in a run's folder.
        option: option that approves the code, such as "--trust-code".
        is_agreed: whether that option was given; approved code is remembered.
        overrides: the user's own ``KEY=VALUE`` changes; what they name may run.

    Raises:
        ConfigError: it names code, a command or an address that was not agreed to.
    """
    own: list[Runnable] = [*files_in_words(overrides), *notifications_in_words(overrides)]
    trust = CodeTrust(TrustStore(), own)
    unknown = trust.unknown_to_train(config)
    refuse_unknown(unknown, option, is_agreed=is_agreed)
    _remember(trust, [*unknown, *own])


def is_of_a_run(spec: str) -> bool:
    """Whether a config that is named by a path lies in a run's folder. Raises ConfigError when there is none."""
    return is_run(find_config(spec).parent)


def refuse_unknown(unknown: Sequence[Runnable], option: str, *, is_agreed: bool) -> None:
    """Raise ConfigError that names what would run and the option that agrees to it."""
    if not unknown or is_agreed:
        return
    words = ", ".join(map(_shown, unknown))
    are_all_sent_to = all(isinstance(each, WebAddress) for each in unknown)
    what = "an address that has not been sent to" if are_all_sent_to else "code that has not been run"
    raise ConfigError(
        f"not run: the config of the run or checkpoint names {what} from here before: {words}; "
        f"read it, then pass {option} to {'send to' if are_all_sent_to else 'run'} it and remember its content"
    )


def _shown(each: Runnable) -> str:
    if isinstance(each, CodeFile):
        return str(each.path)
    if isinstance(each, WebAddress):
        return f"{each.setting} = {each.server}"
    # What is kept as a secret is not for a log: the user's own file has it.
    kept = f" (in {SecretStore().file})" if is_reference(each.written) else ""
    return f"{each.setting} = {each.written!r}{kept}"


def _remember(trust: CodeTrust, runnables: Sequence[Runnable]) -> None:
    if not runnables:
        return
    try:
        trust.agree(runnables)
    except OSError as error:
        print(f"torchdeck: the approval of this code can't be saved: {error.strerror or error}", file=sys.stderr)
