"""Workers that are killed again and again: every trial gets its end, and none is trained twice at once."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from campaign import is_full_campaign
from sweep_cases import RUN, new_sweep, report_of, worker_command

from torchdeck.engine.machine import python_process
from torchdeck.engine.runs.on_disk.directory import is_run, owner_pid, read_info
from torchdeck.engine.sweeps import crew
from torchdeck.engine.sweeps.crew import Crew
from torchdeck.engine.sweeps.folder import SweepFolder

WORKERS = 2
SELDOM = "[checkpoint]\nevery_epochs = 20\n[evaluation]\nevery_epochs = 20\n"


def live_runs(folder: SweepFolder) -> dict[int, list[tuple[str, int]]]:
    """Names and processes of the runs that are being trained, by trial."""
    found: dict[int, list[tuple[str, int]]] = {}
    for path in folder.runs_root.glob("case-t*"):
        if is_run(path) and (pid := owner_pid(path)):
            found.setdefault(read_info(path)["trial"], []).append((path.name, pid))
    return found


def kill_until_done(folder: SweepFolder, every: float, end_after: float) -> int:
    """Work on a sweep while a random worker, and every other time its run too, is killed. Returns the kills."""
    rng, kills = random.Random(0), 0
    workers = Crew(folder, WORKERS)
    began = last = time.monotonic()
    try:
        while workers.look():
            assert time.monotonic() - began < end_after, (folder.path / "workers.log").read_text()
            for trial, runs in live_runs(folder).items():
                assert len(runs) == 1, f"trial {trial} is trained twice: {runs}"
            pids = workers.pids
            if time.monotonic() - last >= every and pids:
                victim = rng.choice(pids)
                trials = {worker.pid: worker.trial for worker in folder.workers()}
                os.kill(victim, signal.SIGKILL)
                kills, last = kills + 1, time.monotonic()
                if kills % 2 and (runs := live_runs(folder).get(trials.get(victim, -1) or 0, [])):
                    os.kill(runs[0][1], signal.SIGKILL)
            time.sleep(0.2)
    finally:
        workers.end()
    return kills


def check_every_trial_has_its_end(folder: SweepFolder, trials: int) -> None:
    report = report_of(folder)
    assert len(report.trials) == trials
    assert {trial.state for trial in report.trials} <= {"complete", "pruned"}, report.document()["counts"]
    for trial in report.trials:
        assert len(trial.runs) == 1
    assert live_runs(folder) == {}


@pytest.mark.campaign
def test_every_trial_ends_though_workers_and_runs_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = is_full_campaign()
    trials, epochs, every = (20, 1500, 10.0) if full else (3, 120, 2.0)
    run = RUN.replace("epochs = 2", f"epochs = {epochs}") + SELDOM
    folder = new_sweep(tmp_path, f'trials = {trials}\nretries = 100\npruner = "median"', run=run)
    if not full:
        monkeypatch.setattr(crew, "module_command", lambda *_: worker_command(folder))
    kills = kill_until_done(folder, every, end_after=2400)
    check_every_trial_has_its_end(folder, trials)
    assert kills


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: workers in network namespaces")
def test_workers_in_two_network_namespaces_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unshare = shutil.which("unshare")
    assert unshare and subprocess.run([unshare, "-n", "true"]).returncode == 0, "needs unshare -n"
    run = RUN.replace("epochs = 2", "epochs = 300") + SELDOM
    folder = new_sweep(tmp_path, "trials = 8\nretries = 100", run=run)
    in_namespace: Callable[..., list[str]] = lambda *words: [unshare, "-n", *python_process.module_command(*words)]  # noqa: E731
    monkeypatch.setattr(crew, "module_command", in_namespace)
    kill_until_done(folder, 10.0, end_after=1800)
    check_every_trial_has_its_end(folder, 8)
