"""Options that several verbs share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from torchdeck.engine.runs.on_disk.directory import default_runs_root

from .completing import checkpoints, settings

runs_root_option = click.option(
    "--runs",
    "runs_root",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_runs_root,
    show_default="$TORCHDECK_RUNS, else ./runs",
    help="Folder that holds the runs.",
)


graphics_option = click.option(
    "--graphics",
    type=click.Choice(["auto", "kitty", "sixel", "iterm", "blocks"]),
    default="auto",
    envvar="TORCHDECK_GRAPHICS",
    show_envvar=True,
    show_default=True,
    help="How to show pictures: auto asks the terminal; blocks work in every terminal.",
)


TRUST_CODE = "--trust-code"


trust_option = click.option(
    TRUST_CODE,
    "trusts_code",
    is_flag=True,
    help="Allow the code and the command that the config of a run or a checkpoint names; the answer is remembered.",
)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else.")


set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change one value of the run.",
    shell_complete=settings,
)


def _parsed_part_of(context: click.Context, option: click.Parameter, words: tuple[str, ...]) -> dict[str, Any]:
    pairs = (word.partition("=") for word in words)
    return {key: int(value) if value.isdecimal() else value for key, _, value in pairs}


part_of_option = click.option(
    "--part-of",
    "part_of",
    multiple=True,
    hidden=True,
    callback=_parsed_part_of,
    help="What run.json says of the sweep, trial or job that started the run: sweep=NAME.",
)


class Numbers(click.ParamType[list[int]]):
    """Numbers and ranges of them, such as 0-3 or 0,2."""

    name = "numbers"

    def __init__(self, of: str = "GPUs", example: str = "0-3 or 0,2") -> None:
        """Create the type.

        Args:
            of: what the numbers are of, for messages.
            example: how they are written, for messages.
        """
        self._of, self._example = of, example

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        """The numbers, each once, in the order in which they are named."""
        if isinstance(value, list):
            return value
        found: list[int] = []
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
            if match is None:
                self.fail(f"{value!r}: must be numbers of {self._of}, such as {self._example}", param, context)
            first, last = int(match[1]), int(match[2] or match[1])
            found += [number for number in range(first, last + 1) if number not in found]
        return found


gpus_option = click.option(
    "--gpus", type=Numbers(), metavar="0-3", help="GPUs to train on together, one process each: 0-3, or 0,2."
)


from_option = click.option(
    "--from",
    "checkpoint",
    metavar="CHECKPOINT",
    help="A checkpoint of the run; without it, the best.",
    shell_complete=checkpoints,
)
