"""Several machines train one model: two network namespaces with a cable between them stand for two machines."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign import is_full_campaign
from several_processes import MLP, SETTINGS, STEPS_PER_EPOCH, ended, have_same_bits, several
from trained import PERCEPTRON

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launched_ranks import launch_ranks, launch_ranks_resumed
from torchdeck.engine.launching.meeting import Meeting
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.rank_states import read_ranks
from torchdeck.engine.runs.reader import RunReader

ADDRESSES = ("10.77.0.1", "10.77.0.2")


@pytest.mark.parametrize("text", ["gpu01", ":29500", "gpu01:", "gpu01:port", "gpu01:70000"])
def test_a_meeting_place_is_a_machine_and_a_port(text: str) -> None:
    with pytest.raises(ConfigError, match="write the first machine and a free port of it, such as gpu01:29500"):
        Meeting.at(text)


def test_a_meeting_place_is_here_or_elsewhere() -> None:
    here = Meeting.at("127.0.0.1:29500")
    assert (here.is_here(), here.own_address(), here.interface()) == (True, "127.0.0.1", "lo")
    assert Meeting.at("[::1]:29500").text == "[::1]:29500"
    # An address for documentation, RFC 5737: no machine has it.
    assert not Meeting("192.0.2.1", 29500).is_here()
    with pytest.raises(ConfigError, match=r"no-such-host\.invalid has no address"):
        Meeting.at("no-such-host.invalid:29500").is_here()


def test_several_machines_without_a_meeting_place_are_told_how_to_start(tmp_path: Path) -> None:
    config = parse_config(PERCEPTRON, "case", ["parallel.machines=2", "training.device=cpu"])
    with pytest.raises(ConfigError, match=r"parallel.machines = 2: .*--nodes 2 --join \S+:29500"):
        launch_ranks(config, tmp_path)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[str, str]]:
    """Names of two network namespaces that reach each other."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    names = (f"deck{os.getpid()}a", f"deck{os.getpid()}b")
    try:
        for name in names:
            run("ip", "netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine makes no network namespaces: {error.stderr.decode().strip()}")
    try:
        ends = [f"d{os.getpid()}{letter}" for letter in "ab"]
        run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            run("ip", "link", "set", end, "netns", name)
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", end)
            for device in (end, "lo"):
                run("ip", "-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start(
    machine: str, folder: Path, *overrides: str, before: str = "", timeout_minutes: float = 1
) -> subprocess.Popen[str]:
    """`torchdeck train digits --nodes 2` on a machine, with a state folder of its own."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / machine), "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-P", "-m", "torchdeck", "train", "digits", "--nodes", "2"]
    command += ["--join", f"{ADDRESSES[0]}:29517", "--runs", str(folder / "runs")]
    # A connection that does not come is begun anew after a minute.
    command += ["--set", f"parallel.timeout_minutes={timeout_minutes}"]
    for override in (*SETTINGS, *MLP, *overrides):
        command += ["--set", override]
    return subprocess.Popen(
        ["ip", "netns", "exec", machine, "sh", "-c", f"{before}exec {shlex.join(command)}"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.campaign
def test_two_machines_end_with_the_bits_of_two_processes_of_one(machines: tuple[str, str], tmp_path: Path) -> None:
    overrides = ("training.epochs=40",) if is_full_campaign() else ()
    started = [start(machine, tmp_path, *overrides) for machine in machines]
    if is_full_campaign():
        kill_the_second_rank(tmp_path / "runs")
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    (found,) = list_runs(tmp_path / "runs")
    together = RunReader(found.path)
    together.poll()
    assert together.status() == "finished"
    assert all("finished at epoch" in output for output in outputs)
    assert have_same_bits(together, ended(several(tmp_path / "one", 2, *MLP, *overrides)))


def kill_the_second_rank(runs: Path) -> None:
    os.kill(read_ranks(begun(runs))[1]["pid"], signal.SIGKILL)


def begun(runs: Path) -> Path:
    """The run of two processes that trains there."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for summary in list_runs(runs):
            if summary.step > 5 and len(read_ranks(summary.path)) == 2:
                return summary.path
        time.sleep(0.05)
    pytest.fail("the run has not begun")


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: the cable is out for a minute")
def test_a_run_goes_on_when_the_cable_is_back_within_the_time_limit(machines: tuple[str, str], tmp_path: Path) -> None:
    started = [start(machine, tmp_path, "training.epochs=40", timeout_minutes=5) for machine in machines]
    path = begun(tmp_path / "runs")
    pull_cable(machines[1], "down")
    time.sleep(2)
    reader = RunReader(path)
    reader.poll()
    at = reader.progress().step
    time.sleep(58)
    reader.poll()
    assert reader.progress().step == at and at < 40 * STEPS_PER_EPOCH
    pull_cable(machines[1], "up")
    outputs = [process.communicate(timeout=400)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    reader.poll()
    assert reader.status() == "finished"
    assert have_same_bits(reader, ended(several(tmp_path / "one", 2, *MLP, "training.epochs=40")))


def pull_cable(machine: str, state: str) -> None:
    run("ip", "-n", machine, "link", "set", f"d{os.getpid()}b", state)


@pytest.mark.campaign
def test_a_machine_that_waits_for_one_that_does_not_come_says_so(machines: tuple[str, str], tmp_path: Path) -> None:
    waiting = start(machines[0], tmp_path, "parallel.meeting_minutes=0.05")
    output = waiting.communicate(timeout=300)[0]
    assert waiting.returncode == 2
    assert f"2 machines did not meet at {ADDRESSES[0]}:29517 within 0.05 minutes" in output
    assert "Traceback" not in output


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: a lost machine is waited for")
def test_a_machine_that_is_lost_for_good_ends_the_run_which_can_be_resumed(
    machines: tuple[str, str], tmp_path: Path
) -> None:
    overrides = ("training.epochs=40", "parallel.meeting_minutes=0.5", "checkpoint.every_steps=5")
    left, lost = [start(machine, tmp_path, *overrides) for machine in machines]
    path = begun(tmp_path / "runs")
    inside = subprocess.run(["ip", "netns", "pids", machines[1]], check=True, capture_output=True, text=True)
    for pid in inside.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    lost.communicate()
    output = left.communicate(timeout=400)[0]
    assert left.returncode == 1
    assert "did not come back within 0.5 minutes (parallel.meeting_minutes): resume the run" in output
    alone = launch_ranks_resumed(path, overrides=("parallel.machines=1", "parallel.processes=2"))
    assert ended(alone).status() == "finished", alone.error


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: four more processes that import torch")
def test_machines_that_share_no_folder_of_runs_are_told_so(machines: tuple[str, str], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    hidden = f"mount -t tmpfs none {runs} && "
    started = [start(machine, tmp_path, before=hidden if at else "") for at, machine in enumerate(machines)]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [2, 2], outputs
    assert all("is not the folder of the first machine" in output for output in outputs)
    assert list(runs.iterdir()) == []
