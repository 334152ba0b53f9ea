"""A run's metrics as rows for other tools."""

import csv
import io
from pathlib import Path

from torchdeck.engine.config import RunConfig
from torchdeck.engine.interchange.metrics_table import epoch_rows, step_rows, write_csv
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter


def written_run(root: Path) -> RunReader:
    run = RunWriter.create(root, RunConfig(name="table"), {})
    for epoch in (1, 2):
        last = epoch * 2
        block = {"kind": "train", "epoch": epoch, "step": last, "t": 1.0, "seconds": 1.0, "samples": 8, "lr": 0.1}
        run.record({**block, "loss": [last - 1.0, float("nan")], "accuracy": [0.5, 0.25]})
        validation = {"loss": 1.5, "accuracy": epoch / 4, "macro_f1": 0.125, "something_new": 7.0 * epoch}
        evaluated = {"kind": "epoch", "epoch": epoch, "step": last, "t": 1.0, "seconds": 2.0, "lr": 0.1}
        run.record({**evaluated, "train": {"loss": 1.0, "accuracy": 0.5}, "validation": validation, "is_best": True})
    run.close("finished")
    reader = RunReader(run.path)
    reader.poll()
    return reader


def test_a_row_a_step_with_the_evaluation_in_the_row_of_its_step(tmp_path: Path) -> None:
    text = io.StringIO()
    assert write_csv(step_rows(written_run(tmp_path)), text) == 4
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["train/loss"] for row in rows] == ["1.0", "nan", "3.0", "nan"]
    assert [row["validation/accuracy"] for row in rows] == ["", "0.25", "", "0.5"]
    assert [row["validation/something_new"] for row in rows] == ["", "7.0", "", "14.0"]


def test_a_row_an_epoch(tmp_path: Path) -> None:
    rows = list(epoch_rows(written_run(tmp_path)))
    assert [(row["epoch"], row["step"], row["validation/accuracy"]) for row in rows] == [(1, 2, 0.25), (2, 4, 0.5)]
    assert rows[0]["train/loss"] == 1.0
    assert rows[0]["is_best"] is True


def test_a_run_without_metrics_has_no_rows(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, RunConfig(), {})
    run.close("stopped")
    reader = RunReader(run.path)
    reader.poll()
    assert list(step_rows(reader)) == []
    assert list(epoch_rows(reader)) == []


def test_columns_keep_the_order_of_the_record(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path, RunConfig(name="table"), {})
    names = [f"metric_{number}" for number in range(12)]
    train = {"loss": 1.0, "accuracy": 0.5, **dict.fromkeys(names, 0.25)}
    place = {"epoch": 1, "step": 2, "t": 1.0, "seconds": 2.0, "lr": 0.1}
    run.record({"kind": "epoch", **place, "train": train, "validation": {"loss": 1.5}, "is_best": True})
    run.close("finished")
    reader = RunReader(run.path)
    reader.poll()
    (row,) = step_rows(reader)
    assert [name for name in row if name.startswith("train/metric")] == [f"train/{name}" for name in names]
