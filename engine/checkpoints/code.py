"""The configs in checkpoints, and the user's code that evaluating or exporting them would run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..files.documents import DocumentError, parse_toml
from ..launching.agreement import refuse_unknown
from ..tensor_files.checkpoint_file import inspect_checkpoint
from ..user_trust import CodeTrust, TrustStore

PROGRAM_SUFFIXES = (".pt2", ".onnx")
"""Export formats that contain the model as a program, so that it must be built; weights are exported as stored."""


def configs_of_checkpoints(value: Any) -> list[dict[str, Any]]:
    """The configs that checkpoints among the paths of a nested value hold; nothing for what is not a checkpoint."""
    found: list[dict[str, Any]] = []
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list | tuple):
            found += configs_of_checkpoints(item)
        elif isinstance(item, Path) and item.is_file():
            try:
                found.append(parse_toml(inspect_checkpoint(item).config))
            except (CheckpointError, DocumentError):
                # The code that opens it reports the problem.
                continue
    return found


def check_code_of(checkpoints: Iterable[Path], option: str, *, is_agreed: bool) -> None:
    """Check that the code which the configs of checkpoints name was agreed to; agree to it where that was asked for.

    Args:
        checkpoints: which are to be evaluated or exported.
        option: command line option that allows the code to run.
        is_agreed: whether it was given.

    Raises:
        ConfigError: code that was not agreed to; names its files and the option.
        OSError: that it was agreed to can't be kept.
    """
    trust = CodeTrust(TrustStore())
    unknown = trust.unknown(configs_of_checkpoints(list(checkpoints)))
    refuse_unknown(unknown, option, is_agreed=is_agreed)
    if unknown:
        trust.agree(unknown)
