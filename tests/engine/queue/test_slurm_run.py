"""A run as a job of SLURM: the script, and where SLURM is installed, a job that is preempted and resumes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaign import is_full_campaign

from torchdeck.engine.queue.slurm_run import SlurmJob, slurm_job_script
from torchdeck.engine.runs.on_disk.directory import list_runs, read_state

ROOT = Path(__file__).parents[3]
CONFIG = """
ClusterName=deck
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def test_a_run_on_several_nodes_meets_on_the_first_one(tmp_path: Path) -> None:
    script = slurm_job_script(["digits"], ["--set", "name=my run"], tmp_path, SlurmJob(2, 4, "8:00:00", "gpu"))
    for line in ("--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=4", "--time=8:00:00", "--partition=gpu"):
        assert f"#SBATCH {line}\n" in script
    assert script.endswith(
        f"srun torchdeck train digits --set checkpoint.requeue=true --runs {tmp_path} --processes 4 "
        "--set 'name=my run' --nodes 2 --join \"$first:$port\"\n"
    )
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_several_configs_are_an_array_of_jobs(tmp_path: Path) -> None:
    script = slurm_job_script(["digits", "my file.toml"], [], tmp_path, SlurmJob(gpus=0))
    assert "#SBATCH --array=0-1\n" in script and "specs=(digits 'my file.toml')\n" in script
    assert 'train "${specs[$SLURM_ARRAY_TASK_ID]}" --set' in script and "gpus" not in script
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def wait_until(holds: Callable[[], object], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a cluster of one node on this machine."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    if os.geteuid() != 0 or not all(map(shutil.which, programs)):
        pytest.skip("needs root and SLURM: apt-get install slurm-wlm munge")
    folder = tmp_path / "slurm"
    (folder / "state").mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    ports = []
    for _ in range(2):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
    host = socket.gethostname().partition(".")[0]
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, host=host, port=ports[0], node_port=ports[1]))
    words = [f"--{name}={folder / file}" for name, file in (("socket", "munge.sock"), ("key-file", "munge.key"))]
    words += [f"--{name}={folder / name}" for name in ("pid-file", "log-file", "seed-file")]
    started = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (
            ["munged", "--force", "--foreground", *words],
            ["slurmctld", "-D", "-f", str(config)],
            ["slurmd", "-D", "-f", str(config), "-N", "node"],
        )
    ]
    environment = {
        **os.environ,
        "SLURM_CONF": str(config),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    try:
        wait_until(lambda: "idle" in run(environment, "sinfo"), 60)
        yield environment
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def run(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: SLURM starts a requeued job after minutes")
def test_a_job_that_is_preempted_saves_is_requeued_and_resumes_exactly(slurm: dict[str, str], tmp_path: Path) -> None:
    settings = ["training.device=cpu", "training.num_threads=1", "training.epochs=30", "model={name='mlp'}"]
    words = [word for setting in settings for word in ("--set", setting)]
    runs = tmp_path / "runs"
    command = [
        sys.executable,
        "-m",
        "torchdeck",
        "slurm",
        "digits",
        *words,
        "--gpus",
        "0",
        "--runs",
        str(runs),
        "--submit",
    ]
    submitted = subprocess.run(command, env=slurm, cwd=tmp_path, capture_output=True, text=True)
    assert submitted.stdout.startswith("Submitted batch job "), submitted.stderr
    job = submitted.stdout.split()[-1]
    wait_until(lambda: any(summary.step > 5 for summary in list_runs(runs)), 120)
    (summary,) = list_runs(runs)
    run(slurm, "scancel", "--signal=USR1", job)
    wait_until(lambda: read_state(summary.path).get("status") == "stopped", 60)
    wait_until(lambda: read_state(summary.path).get("status") == "finished", 400)
    events = [json.loads(line) for line in (summary.path / "events.jsonl").read_text().splitlines()]
    (resumed,) = [event for event in events if event["kind"] == "resumed_from"]
    assert resumed["exact"] is True
    assert f"job {job} was requeued" in (tmp_path / f"slurm-{job}.log").read_text()
