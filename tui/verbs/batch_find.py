"""`torchdeck batch-find`: the largest batch of a preset or a file that fits, without a screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import RunError, TorchUnavailableError

from ..process import worker_calls
from ..process.private_output import PrivateOutput
from ..process.stop_signals import StopSignals
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.setup.batch_search_text import LOWER_START, result_text, tries_text
from ..words.worker_text import ended_words
from .completing import configs
from .options import json_option, set_option
from .output import print_json, printed

if TYPE_CHECKING:
    from torchdeck.engine.preflight.batch_search import BatchSearch


@click.command(name="batch-find")
@click.argument("spec", metavar="PRESET|FILE.toml", shell_complete=configs)
@set_option
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB",
    help="Memory that a step may use, weights included; without it, 90 % of the free memory.",
)
@json_option
def batch_find(spec: str, overrides: tuple[str, ...], memory: float | None, as_json: bool) -> int:
    """Find the largest batch that fits: try real steps with growing batches in a separate process.

    Writes nothing and does not affect any run.
    """
    config = load_config(spec, overrides)
    with PrivateOutput() as output:
        is_live = output.stderr.isatty() and not as_json

        def show(message: str, done: int, total: int) -> None:
            if is_live:
                print(f"\r\x1b[K{message} …", end="", file=output.stderr, flush=True)

        found = asyncio.run(_search(config, int((memory or 0) * 1e9), show))
        if is_live:
            print("\r\x1b[K", end="", file=output.stderr)
        if isinstance(found, StopSignals):
            print(f"torchdeck: ended by {found.name}; nothing was written", file=output.stderr)
            return found.exit_status
        if as_json:
            print_json(asdict(found), output.stdout)
            return 0
        print(printed(f"{tries_text(found)}\n{result_text(found)}").plain, file=output.stdout)
        if found.largest:
            print(f"to train with it: --set loader.batch_size={found.largest}", file=output.stdout)
    return 0 if found.largest else 1


async def _search(config: RunConfig, memory: int, show: Callable[[str, int, int], None]) -> BatchSearch | StopSignals:
    """Run the search. Returns the result, or the signals that ended it."""
    process = WorkerProcess()
    search = asyncio.ensure_future(
        process.follow(worker_calls.FIND_LARGEST_BATCH, config, memory=memory, on_progress=show)
    )
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(search.cancel)

    signals = StopSignals(cancel)
    try:
        found: BatchSearch = await search
    except asyncio.CancelledError:
        if not signals.received:
            raise
        return signals
    except TorchUnavailableError as error:
        raise TorchUnavailableError("batch-find", error.failure) from error
    except WorkerError as error:
        raise RunError(f"looking for the largest batch: {ended_words(error, LOWER_START)}") from error
    finally:
        await process.close()
    return found
