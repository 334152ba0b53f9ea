"""What a real run writes is what its formats declare: no key more, none of the required ones less."""

import json
from pathlib import Path
from typing import Any

import pytest
from training_cases import train

from torchdeck.engine.runs.on_disk.metrics_record import EpochRecord, EvaluationRecord, TrainRecord
from torchdeck.engine.runs.on_disk.state_file import StateFile
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint
from torchdeck.engine.runs.saving.checkpoint_format import Checkpoint, is_own

RECORDS: dict[str, Any] = {"train": TrainRecord, "epoch": EpochRecord, "evaluation": EvaluationRecord}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that adds to its formats."""
    return train(
        tmp_path_factory.mktemp("runs"), "ema.decay=0.9", "evaluation.every_steps=3", "evaluation.every_epochs=2"
    )


def check(content: dict[str, Any], declared: Any) -> None:
    assert set(content) - set(declared.__annotations__) == set(), "not declared"
    assert declared.__required_keys__ - set(content) == set(), "missing"


def test_the_records_are_as_declared(run: Path) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {record["kind"] for record in records} == set(RECORDS)
    for record in records:
        check(record, RECORDS[record["kind"]])


def test_the_state_is_as_declared(run: Path) -> None:
    check(json.loads((run / "state.json").read_text(encoding="utf-8")), StateFile)


def test_a_checkpoint_is_as_declared(run: Path) -> None:
    content = load_checkpoint(run / "checkpoints" / "last.pt")
    assert is_own(content)
    check(dict(content), Checkpoint)
    assert "ema_state_dict" in content
