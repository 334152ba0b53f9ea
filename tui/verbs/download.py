"""`torchdeck download`: download a published data set."""

from __future__ import annotations

import time
from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from torchdeck.engine.config import DataConfig
from torchdeck.engine.machine.torch_import import require_torch

from ..plain_text import printable
from .completing import datasets
from .options import json_option
from .output import print_json

_PLAIN_SECONDS = 10.0
_KILOBYTE = 1000


@click.command()
@click.argument("dataset", shell_complete=datasets)
@click.option("--root", default=DataConfig().root, show_default=True, help="Folder that holds the data sets.")
@json_option
def download(dataset: str, root: str, as_json: bool) -> int:
    """Download DATASET, unpack it and check it.

    Ctrl-C stops it; the next call continues the partial file. Files that exist are not downloaded again.
    """
    require_torch("download")
    from torchdeck.engine.data.datasets.download import download as fetch

    with _Shown(Console(stderr=True, highlight=False), quiet=as_json) as shown:
        try:
            done = fetch(dataset, root, shown.progress)
        except KeyboardInterrupt:
            shown.say("interrupted; the partial download is kept, and the same command continues it")
            return 130
    if as_json:
        print_json(asdict(done))
        return 0
    parts = ", ".join(f"{count:,} {part}" for part, count in done.samples.items())
    print(printable(f"{done.name} is in {done.root}: {parts}"))
    for note in done.notes:
        print(printable(note))
    return 0


class _Shown:
    """Progress of downloads: a bar per file on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._message = ""
        self._last_line = 0.0
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[size]}", markup=False),
            TransferSpeedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bars.add_task("connecting", total=None, size="")

    def __enter__(self) -> _Shown:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def progress(self, message: str, done: int, total: int) -> None:
        """Show the progress of a download, in kilobytes."""
        name = printable(message.removeprefix("downloading ").removesuffix(" (kB)"))
        size = f"{done / _KILOBYTE:,.1f}/{total / _KILOBYTE:,.1f} MB" if total else f"{done / _KILOBYTE:,.1f} MB"
        if message != self._message:
            if self._message:
                self._task = self._bars.add_task(name, total=None, size="")
            self._message, self._last_line = message, 0.0
        self._bars.update(
            self._task, description=name, completed=done * _KILOBYTE, total=total * _KILOBYTE or None, size=size
        )
        is_due = time.monotonic() - self._last_line >= _PLAIN_SECONDS or (total and done == total)
        if self._bars.disable and is_due:
            self._last_line = time.monotonic()
            self.say(f"{name}  {size}")

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._console.print(Text(printable(text)), soft_wrap=True)
