"""The metric that a run is judged by is the run's own, on the tiles, in the first line and in the table of epochs."""

from pathlib import Path
from typing import Any

from textual.content import Content

from torchdeck.engine.config import CheckpointConfig, RunConfig
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.words.train.charted_metrics import automatic_choice, charted_metrics, chosen_metric
from torchdeck.tui.words.train.epoch_columns import epoch_columns
from torchdeck.tui.words.train.run_text import run_forms
from torchdeck.tui.words.train.tile_text import tile_figures


def block(**scores: list[float]) -> dict[str, Any]:
    fields = {"epoch": 1, "step": 2, "t": 0.1, "seconds": 0.1, "samples": 128, "loss": [2.0, 1.0], "lr": 0.1}
    return {"kind": "train", **fields, **scores}


def epoch(**validation: float) -> dict[str, Any]:
    fields = {"epoch": 1, "step": 2, "t": 0.1, "seconds": 1.5, "lr": 0.1, "train": {"loss": 1.0, "accuracy": 0.5}}
    return {"kind": "epoch", **fields, "validation": {"loss": 1.2, **validation}, "is_best": True}


def reader_of(folder: Path, best_metric: str, *records: Any) -> RunReader:
    run = RunWriter.create(folder, RunConfig(checkpoint=CheckpointConfig(best_metric=best_metric)), {})
    for record in records:
        run.record(record)
    run.close("finished")
    reader = RunReader(run.path)
    reader.poll()
    return reader


def headings(reader: RunReader) -> list[str]:
    return [column.heading for column in epoch_columns(reader.epoch_records(), reader.score, reader.headline)]


def test_a_run_that_is_judged_by_another_metric_shows_that_one(tmp_path: Path) -> None:
    record = {**epoch(accuracy=0.5, macro_f1=0.4, top_k=0.9), "rated": {"metric": "top_k", "value": 0.9}}
    reader = reader_of(tmp_path, "top_k", block(accuracy=[0.5, 0.5]), record)
    score = tile_figures(reader, "finished")["score"]
    assert (score.title, score.value) == ("Val. top-k %", "90.00")
    assert Content.from_markup(run_forms(reader, "finished")[0]).plain.endswith("top-k 90.00%")
    assert headings(reader) == ["train loss", "accuracy", "val. loss", "top-k", "accuracy", "macro F1"]


def test_a_run_that_predicts_numbers_says_so_before_its_first_evaluation(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "auto", block(mae=[3.0, 2.0]))
    assert tile_figures(reader, "running")["score"].title == "Val. MAE"
    assert "MAE" in headings(reader)
    assert "accuracy" not in headings(reader)


def test_before_its_first_evaluation_a_run_has_the_metric_of_its_config(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "macro_f1", block(accuracy=[0.5, 0.5]))
    assert tile_figures(reader, "running")["score"].title == "Val. macro F1 %"


def test_the_chart_of_the_score_shows_the_metric_of_the_tile_and_what_every_step_measures_comes_later(
    tmp_path: Path,
) -> None:
    blocks = block(accuracy=[0.5, 0.5])
    record = {**epoch(accuracy=0.5, macro_f1=0.4, top_k=0.9), "rated": {"metric": "top_k", "value": 0.9}}
    reader = reader_of(tmp_path, "top_k", blocks, record)
    found = charted_metrics(reader)
    score = chosen_metric(reader, "score", found)
    assert score is not None
    assert (score.title, tile_figures(reader, "finished")["score"].title) == ("Top-k %", "Val. top-k %")
    assert [line.legend for line in score.lines] == ["val."]
    names = automatic_choice(reader, found, 9)
    assert names.index("score") == 1 < names.index("accuracy")


def test_the_chart_of_the_score_is_listed_once(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "auto", block(accuracy=[0.5, 0.5]), epoch(accuracy=0.5, macro_f1=0.4))
    names = automatic_choice(reader, charted_metrics(reader), 9)
    assert "score" in names and "accuracy" not in names


def test_before_the_first_evaluation_the_chart_of_the_score_is_what_every_step_measures(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "macro_f1", block(accuracy=[0.5, 0.5]))
    score = chosen_metric(reader, "score", charted_metrics(reader))
    assert score is not None and score.title == "Accuracy %"
