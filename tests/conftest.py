"""What every test needs: one thread a process, and nothing of the user's own machine."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported: tests run side by side, and more threads than cores make them crawl.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
# Each of the hundreds of processes that tests start would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than this process has cores: of the time of a run, a good part is waiting for processes."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True, scope="session")
def _what_is_imported_stays() -> Iterator[None]:
    """A run collects garbage at its end, which would go through torch and all collected tests every time."""
    gc.collect()
    gc.freeze()
    yield
    # Libraries of torch report leaks of what no collection has seen at the end.
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _away_from_the_users_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHDECK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TORCHDECK_THEME", raising=False)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A handler that a test leaves behind would take the signals by which other tests end their processes."""
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in watched}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
