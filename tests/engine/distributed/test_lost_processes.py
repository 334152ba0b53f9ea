"""Processes of a run that are killed, told to stop, or moved to another number of them."""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch
from campaign import is_full_campaign
from several_processes import (
    MLP,
    STEPS_PER_EPOCH,
    alone,
    ended,
    have_same_bits,
    several,
    slowed,
    steps_of,
    wait_for,
    weights_of,
)

from torchdeck.engine.launching.launched_ranks import LaunchedRanks, launch_ranks_resumed
from torchdeck.engine.runs.rank_states import read_ranks

KILLS = 20 if is_full_campaign() else 1


def kill_one(run: LaunchedRanks, moments: random.Random) -> None:
    """Kill a random process of a run at a random moment after both of them train."""
    path = wait_for(run, lambda path: len(_live(path)) == 2 and steps_of(path) > 0)
    time.sleep(moments.uniform(0.0, 1.5))
    pid = moments.choice(_live(path) or [0])
    assert pid, "the run has ended before it was killed"
    os.kill(pid, signal.SIGKILL)
    wait_for(run, lambda path: not psutil.pid_exists(pid))


def _live(path: Path) -> list[int]:
    return [state["pid"] for state in read_ranks(path) if psutil.pid_exists(state["pid"])]


def test_processes_killed_at_random_moments_end_with_the_bits_of_an_unbroken_run(tmp_path: Path) -> None:
    epochs = f"training.epochs={2 * KILLS + 3}"
    settings = (*MLP, slowed(tmp_path, 0.03), epochs, "checkpoint.every_steps=5", f"parallel.restarts={KILLS}")
    unbroken = ended(several(tmp_path / "unbroken", 2, *settings))
    run = several(tmp_path / "broken", 2, *settings)
    moments = random.Random(13)
    for _ in range(KILLS):
        kill_one(run, moments)
    reader = ended(run)
    assert reader.status() == "finished", run.error
    # One that is killed before the first save begins anew.
    assert 1 <= [event["kind"] for event in reader.events()].count("resumed_from") <= KILLS
    assert len(list((tmp_path / "broken").iterdir())) == 1
    assert have_same_bits(unbroken, reader)


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: nine runs that are stopped and resumed")
@pytest.mark.parametrize("target", ["agent", "rank 0", "rank 1"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_signal_sent_twice_leaves_one_checkpoint_at_one_step(
    tmp_path: Path, number: signal.Signals, target: str
) -> None:
    settings = (*MLP, slowed(tmp_path, 0.05))
    unbroken = ended(several(tmp_path / "unbroken", 2, *MLP))
    run = several(tmp_path / "stopped", 2, *settings)
    path = wait_for(run, lambda path: len(read_ranks(path)) == 2 and steps_of(path) >= 7)
    pid = run._agent.pid if target == "agent" else read_ranks(path)[int(target[-1])]["pid"]
    os.kill(pid, number)
    os.kill(pid, number)
    stopped = ended(run)
    assert stopped.status() == "stopped", run.error
    saved = {int(file.stem.rpartition("-")[2]) for file in (path / "checkpoints").glob("step-*.pt")}
    assert len([step for step in saved if step % STEPS_PER_EPOCH]) <= 1
    assert stopped.progress().step in saved
    assert have_same_bits(unbroken, ended(launch_ranks_resumed(path, overrides=("callbacks=[]",))))


@pytest.mark.campaign
def test_a_run_moved_between_numbers_of_processes_takes_the_steps_of_an_unmoved_one(tmp_path: Path) -> None:
    plain = (*MLP, "optimizer={name='SGD',lr=0.05,momentum=0.9}")
    unmoved = alone(tmp_path / "unmoved", *plain)
    run = several(tmp_path / "moved", 2, *plain, slowed(tmp_path, 0.05))
    numbers = (1, 4, 2) if is_full_campaign() else (4,)
    for processes in numbers:
        before = steps_of(run.path) if run.path else 0
        path = wait_for(run, lambda path, before=before: steps_of(path) >= before + 7)  # type: ignore[misc]
        run.stop()
        stopped = ended(run)
        assert stopped.status() == "stopped" and stopped.progress().step % STEPS_PER_EPOCH
        overrides = [f"parallel.processes={processes}"]
        if processes == numbers[-1]:
            overrides.append("callbacks=[]")
        run = launch_ranks_resumed(path, overrides=overrides)
    moved = ended(run)
    assert moved.status() == "finished" and moved.progress().step == unmoved.progress().step
    assert unmoved.series("train/loss")[0].tolist() == moved.series("train/loss")[0].tolist()
    for name, weight in weights_of(unmoved).items():
        torch.testing.assert_close(weights_of(moved)[name], weight, rtol=0, atol=1e-5)
    because = [event["not_exact_because"] for event in moved.events() if event["kind"] == "resumed_from"]
    assert because and all(any("processes: " in reason for reason in reasons) for reasons in because)
