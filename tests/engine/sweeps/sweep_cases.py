"""Sweeps for tests: a tiny run that trains in a moment, and workers that start warm."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from warm_python import warm_python

from torchdeck.engine.sweeps.definition import Definition, read_definition
from torchdeck.engine.sweeps.folder import SweepFolder, create_sweep
from torchdeck.engine.sweeps.report import SweepReport

RUN = """
name = "case"
[data]
validation = 0.2
[model]
name = "mlp"
hidden = [4]
[loader]
batch_size = 1024
[optimizer]
name = "SGD"
lr = 0.1
[training]
epochs = 2
device = "cpu"
num_threads = 1
"""
SPACE = """
[sweep.space]
"optimizer.lr" = { low = 1e-3, high = 1.0, log = true }
"model.dropout" = [0.0, 0.1]
"""
# As the worker's own process, but with runs that are forks of a process with torch imported, too.
_WARM_WORKER = """
import sys
sys.path.append({tests!r})
from torchdeck.engine.machine import python_process
command = tuple({command!r})
python_process.python_command = lambda: command
from torchdeck.engine.sweeps.worker_process import main
sys.exit(main())
"""


def definition(tmp_path: Path, sweep: str = "", *overrides: str, run: str = RUN, space: str = SPACE) -> Definition:
    """A checked sweep from TOML."""
    file = tmp_path / "case.toml"
    file.write_text(f"{run}\n[sweep]\n{sweep}\n{space}")
    return read_definition(str(file), overrides)


def new_sweep(tmp_path: Path, sweep: str = "", *overrides: str, run: str = RUN, space: str = SPACE) -> SweepFolder:
    """A sweep's folder, without workers."""
    return create_sweep(tmp_path / "runs", definition(tmp_path, sweep, *overrides, run=run, space=space))


def worker_command(folder: SweepFolder, *options: str) -> list[str]:
    """The command line of a worker that starts warm, as do its runs."""
    code = _WARM_WORKER.format(command=list(warm_python()), tests=str(Path(__file__).parents[2]))
    return [*warm_python(), "-P", "-c", code, str(folder.path), *options]


def start_worker(folder: SweepFolder, *options: str) -> "subprocess.Popen[bytes]":
    """A worker's process."""
    with (folder.path / "workers.log").open("ab") as log:
        return subprocess.Popen(
            worker_command(folder, *options), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def wait_until(holds: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Wait until something holds, else fail with `what`."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def report_of(folder: SweepFolder) -> SweepReport:
    """The sweep as it stands."""
    report = SweepReport(folder)
    report.poll()
    return report


def states(folder: SweepFolder) -> list[str]:
    """States of the trials, by number."""
    return [trial.state for trial in report_of(folder).trials]


def worked_off(folder: SweepFolder, workers: int = 1, seconds: float = 240.0) -> SweepReport:
    """Have a sweep worked on until it is done; the report at its end."""
    processes = [start_worker(folder) for _ in range(workers)]
    for process in processes:
        assert process.wait(seconds) == 0, (folder.path / "workers.log").read_text()
    return report_of(folder)
