"""`torchdeck queue add`, `list`, `move`, `remove`, `pause` and `export`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.queue.folder import Queue
from torchdeck.tui.verbs.queue import queue


def invoked(root: Path, *words: str) -> Result:
    return CliRunner().invoke(queue, [*words, "--runs", str(root)])


def test_runs_are_added_listed_moved_and_removed(tmp_path: Path) -> None:
    added = invoked(tmp_path, "add", "digits", "fashion-mnist-mlp", "--set", "training.epochs=3", "--memory", "2G")
    assert added.output.splitlines() == ["job 1: digits waits", "job 2: fashion-mnist-mlp waits"]
    assert invoked(tmp_path, "move", "2", "1").output.split() == ["2", "1"]
    document = json.loads(invoked(tmp_path, "list", "--json").stdout)
    assert [(job["number"], job["state"], job["memory"]) for job in document["jobs"]] == [
        (2, "waiting", 2 << 30),
        (1, "waiting", 2 << 30),
    ]
    assert document["paused"] is False and document["jobs"][0]["has_worker"] is False
    assert "epochs = 3" in Queue(tmp_path).files(Queue(tmp_path).named(1)).config.read_text()
    invoked(tmp_path, "pause")
    lines = invoked(tmp_path, "list").output.splitlines()
    assert lines[0] == "paused: no further job starts; torchdeck queue resume"
    assert [line.split()[0] for line in lines[2:]] == ["2", "1"]
    assert invoked(tmp_path, "resume").output == "2 jobs wait\n"
    assert invoked(tmp_path, "remove", "2").output == "job 2: fashion-mnist-mlp removed\n"
    assert invoked(tmp_path, "export", "--slurm").output.startswith("#!/bin/bash\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("add", "digits", "--set", "training.epochs=0"), "training.epochs = 0: must be at least 1"),
        (("add", "digits", "--memory", "much"), "much: not a size in bytes; write for example 20G or 800M"),
        (("work",), "name the GPUs"),
        (("work", "--gpus", "0", "--cpus", "2"), "name the GPUs"),
        (("move", "3", "1"), "job 3: there is no such job"),
    ],
)
def test_what_is_wrong_is_said_before_anything_happens(tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    result = invoked(tmp_path, *words)
    assert isinstance(result.exception, ConfigError) and expected in str(result.exception)
    assert Queue(tmp_path).jobs() == []


def test_a_run_on_several_gpus_has_a_process_for_each(tmp_path: Path) -> None:
    assert invoked(tmp_path, "add", "digits", "--gpus", "2").exit_code == 0
    config = load_config(str(Queue(tmp_path).files(Queue(tmp_path).named(1)).config))
    assert (config.parallel.processes, config.parallel.devices) == (2, [])


def test_an_empty_queue_says_what_adds_a_job(tmp_path: Path) -> None:
    assert "`torchdeck queue add digits` adds one" in invoked(tmp_path, "list").output
