"""A run whose records can't be written says so where it is watched: none of its files can."""

from __future__ import annotations

import resource
import signal
import subprocess
from pathlib import Path

from warm_python import warm_python

from torchdeck.engine.runs.reader import RunReader


def test_records_that_can_not_be_written_are_said_at_once_and_written_later(tmp_path: Path) -> None:
    words = ["train", "digits", "--set", "training.epochs=100000", "--set", "checkpoint.every_epochs=0"]
    process = subprocess.Popen(
        [*warm_python(), "-m", "torchdeck", *words, "--runs", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None

    def read_until(words: str) -> str:
        for line in process.stdout:  # type: ignore[union-attr]
            if words in line:
                return line
        raise AssertionError(f"it ended before it said {words!r}")

    try:
        run = RunReader(Path(read_until("run ").split()[1]))
        read_until("epoch   1")
        owner = run.owner_pid()
        assert owner
        _, largest = resource.prlimit(owner, resource.RLIMIT_FSIZE)
        # Every file of the run is full, as on a disk that turns read-only.
        resource.prlimit(owner, resource.RLIMIT_FSIZE, (1, largest))
        said = read_until("the run's records can't be written, training continues")
        assert "metrics.jsonl: File too large" in said
        resource.prlimit(owner, resource.RLIMIT_FSIZE, (largest, largest))
        read_until("the run's records are written again")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
        run.poll()
        assert run.status() == "stopped" and run.skipped_lines == 0
        steps = run.series("train/loss")[0].tolist()
        assert steps == list(range(1, len(steps) + 1))
    finally:
        process.kill()
        process.wait()
