import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from run_cases import new_run

from engine.runs.death import why_died
from engine.runs.reader import RunReader

OWNER = """
import faulthandler, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from run_cases import new_run
run = new_run(Path(sys.argv[1]))
run.update_state(status="running")
run.flush()
print(run.path, flush=True)
log = os.open(run.path / "engine.log", os.O_WRONLY | os.O_CREAT)
os.dup2(log, 2)
faulthandler.enable(2)
sys.stdin.readline()
os.kill(os.getpid(), getattr(signal, sys.argv[3]))
"""


@pytest.mark.parametrize(("name", "words"), [("SIGKILL", "ended without a word"), ("SIGSEGV", "Segmentation fault")])
def test_a_process_that_a_signal_ended_is_explained_by_what_it_left(tmp_path: Path, name: str, words: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), str(Path(__file__).parent), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate("\n")
    assert process.returncode == -getattr(signal, name)
    run = Path(output.strip())
    assert RunReader(run).status() == "died"
    assert words in why_died(run)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    writer = new_run(tmp_path)
    writer.update_state(status="running")
    writer.close("running")
    return writer.path


def change_state(run: Path, **fields: object) -> None:
    state = json.loads((run / "state.json").read_text())
    (run / "state.json").write_text(json.dumps({**state, **fields}))


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("Traceback\nValueError: no such thing\n", "ValueError: no such thing"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\nbye\n", "CUDA out of memory"),
        ("RuntimeError: CUDA error: an illegal memory access\n", "CUDA error: an illegal memory access"),
        ("terminate called after throwing an instance of 'c10::Error'\n", "terminate called"),
        ("epoch 1\n", "ended without a word"),
        ("ValueError: dealt with\nepoch 2\n", "ended without a word"),
    ],
)
def test_the_last_words_in_the_log_are_the_reason(run: Path, log: str, words: str) -> None:
    (run / "engine.log").write_text(log)
    assert words in why_died(run)


def test_memory_that_was_used_up_points_to_the_kernel(run: Path) -> None:
    samples = [{"memory": 10e9, "memory_free": 5e9}, {"memory": 30e9, "memory_free": 3e8}]
    (run / "system.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples) + '{"memo')
    assert "memory was used up" in why_died(run)
    (run / "system.jsonl").write_text(json.dumps(samples[0]) + "\n")
    assert "without a word" in why_died(run)


def test_another_boot_or_another_host_is_the_reason(run: Path) -> None:
    change_state(run, boot_id="another")
    assert why_died(run) == "the machine was restarted while it trained"
    change_state(run, host="gpu-03")
    assert why_died(run) == "its process on gpu-03 is gone, or can't be seen from here"


def test_nothing_that_can_be_read_is_no_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "engine.log")
    (tmp_path / "state.json").write_text("[")
    assert why_died(tmp_path) == "its process ended without a word, as by SIGKILL or a power cut"
