import json
import os
import time
from pathlib import Path

import pytest
from run_cases import new_run

from torchdeck.engine.runs.cause_of_death import Death, note_death, why_died


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
        ("epoch 1\n", "ended without a message"),
        ("ValueError: dealt with\nepoch 2\n", "ended without a message"),
    ],
)
def test_the_last_words_in_the_log_are_the_reason(run: Path, log: str, words: str) -> None:
    (run / "engine.log").write_text(log)
    assert words in why_died(run)


def test_memory_that_was_used_up_points_to_the_kernel(run: Path) -> None:
    samples = [{"memory": 10e9, "memory_free": 5e9}, {"memory": 30e9, "memory_free": 3e8}]
    (run / "system.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples) + '{"memo')
    assert "machine ran out of memory" in why_died(run)
    (run / "system.jsonl").write_text(json.dumps(samples[0]) + "\n")
    assert "without a message" in why_died(run)


def died(run: Path, **fields: object) -> None:
    pid = json.loads((run / "state.json").read_text())["pid"]
    death = {"pid": pid, "time": time.time(), "signal": None, "exit_status": None, "is_memory_short": False, **fields}
    note_death(run, Death(**death))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "log", "words"),
    [
        ({"signal": 9}, "CUDA error: dealt with\n", "killed by another process (SIGKILL), "),
        ({"signal": 9, "is_memory_short": True}, "", "killed by the kernel because memory ran out (SIGKILL), "),
        ({"signal": 11}, "Fatal Python error: Segmentation fault\n", "Segmentation fault (SIGSEGV), "),
        ({"signal": 15}, "", "ended by SIGTERM, "),
        ({"signal": 77}, "", "ended by signal 77, "),
        ({"exit_status": 143}, "", "ended immediately by a second SIGTERM (exit status 143), "),
        ({"exit_status": 3}, "ValueError: no such thing\n", "ValueError: no such thing (exit status 3), "),
        ({"exit_status": 3}, "", "exited during the run (exit status 3), "),
        ({}, "", "ended without a message, "),
    ],
)
def test_what_was_seen_of_the_end_decides_what_the_log_can_explain(
    run: Path, seen: dict[str, object], log: str, words: str
) -> None:
    (run / "engine.log").write_text(log)
    died(run, **seen)
    assert words in why_died(run)


def test_the_moment_of_the_death_has_its_day_where_that_is_not_today(run: Path) -> None:
    died(run, signal=9, time=time.mktime((2026, 3, 4, 5, 6, 7, 0, 0, -1)))
    assert why_died(run).endswith(", 2026-03-04 05:06:07")


def test_the_death_of_an_earlier_process_of_the_run_explains_nothing(run: Path) -> None:
    died(run, signal=9, pid=1)
    assert "without a message" in why_died(run)


def test_half_a_line_of_the_dead_process_spoils_no_other(run: Path) -> None:
    events = run / "events.jsonl"
    events.write_text('{"kind":"note"}\n{"kind":"sa')
    died(run, signal=9)
    assert [json.loads(line)["kind"] for line in events.read_text().splitlines() if line.endswith("}")] == [
        "note",
        "died",
    ]


def test_another_boot_or_another_host_is_the_reason(run: Path) -> None:
    change_state(run, boot_id="another")
    assert why_died(run).startswith("the machine rebooted while it trained, last update ")
    change_state(run, host="gpu-03")
    assert why_died(run).startswith("its process on gpu-03 is gone or not visible from here, last update ")


def test_nothing_that_can_be_read_is_no_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "engine.log")
    (tmp_path / "state.json").write_text("[")
    assert why_died(tmp_path) == "its process ended without a message, as with SIGKILL or a power cut"
