"""Runs of other trainers, made by the real libraries (see make_fixtures.py), are read with equal values."""

import math
import shutil
from pathlib import Path

import pytest
from make_fixtures import RUN
from trained import PERCEPTRON

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.errors import RecordedRunError, RunError, UnknownRunError
from torchdeck.engine.foreign.catalog import WideCatalog
from torchdeck.engine.foreign.formats import discovered, find_any_run, foreign_run, open_run
from torchdeck.engine.foreign.reader import ForeignReader
from torchdeck.engine.runs.run_view import RunView
from torchdeck.engine.runs.writer import RunWriter

FIXTURES = Path(__file__).parent / "fixtures"
# Name of the fixture, its path below the folder, its format, and what the library can't say.
KNOWN = [
    ("tensorboard", "TensorBoard"),
    ("lightning", "Lightning"),
    ("huggingface", "Hugging Face"),
    ("wandb", "W&B"),
    ("mlflow", "MLflow"),
    ("keras/training.csv", "CSV"),
]


def read(path: Path) -> RunView:
    reader = open_run(path)
    reader.poll()
    return reader


def values(reader: RunView, name: str) -> list[float]:
    return [round(value, 6) for value in reader.series(name)[1].tolist()]


@pytest.mark.parametrize(("name", "title"), KNOWN)
def test_every_figure_is_the_one_that_was_logged(name: str, title: str) -> None:
    reader = read(FIXTURES / name)
    assert isinstance(reader, ForeignReader)
    assert reader.source_title == title
    epochs, steps, losses, rates, validation_losses, accuracies = (list(column) for column in zip(*RUN, strict=True))
    assert values(reader, "train/loss") == losses
    assert values(reader, "lr") == rates
    assert values(reader, "validation/loss") == validation_losses
    assert values(reader, "validation/accuracy") == accuracies
    expected = epochs if title == "CSV" else steps
    assert reader.series("validation/loss")[0].tolist() == expected
    assert [record["epoch"] for record in reader.epoch_records()] == epochs
    assert [record["train"]["loss"] for record in reader.epoch_records()] == losses
    assert reader.best() == {"metric": "accuracy", "value": 0.75, "epoch": 2, "step": expected[1]}
    assert reader.damage() == []


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lightning", {"lr": 0.1, "model.name": "unet", "model.depth": 4, "augment": True}),
        ("wandb", {"lr": 0.1, "model.name": "unet"}),
        ("mlflow", {"lr": 0.1, "model.name": "unet"}),
    ],
)
def test_settings_are_those_of_the_program(name: str, settings: dict[str, object]) -> None:
    assert read(FIXTURES / name).settings() == settings


@pytest.mark.parametrize("name", ["huggingface", "wandb", "mlflow"])
def test_a_program_that_says_that_it_ended_has_ended(name: str) -> None:
    reader = read(FIXTURES / name)
    assert (reader.status(), reader.is_alive()) == ("finished", False)


def test_what_is_not_known_is_not_invented() -> None:
    reader = read(FIXTURES / "tensorboard")
    progress = reader.progress()
    assert (progress.epochs, progress.total_steps, progress.samples_per_s) == (0, 0, 0.0)
    assert math.isnan(progress.eta_seconds)
    assert (reader.events(), reader.system(), reader.classes(), reader.checkpoints()) == ([], {}, [], [])
    with pytest.raises(RecordedRunError, match="trained by another program"):
        reader.config()


def test_all_of_them_are_found_below_a_folder_and_listed_with_their_source() -> None:
    found = {run.path.relative_to(FIXTURES).as_posix(): run.format.title for run in discovered(FIXTURES)}
    assert found == dict(KNOWN)
    listed = {run.name: run for run in WideCatalog([FIXTURES], is_read_whole=True).look()}
    assert {name: run.source for name, run in listed.items()} == dict(KNOWN)
    assert {round(run.metrics["accuracy"], 6) for run in listed.values()} == {0.7}


def test_a_path_names_a_run_and_a_folder_of_several_names_none(tmp_path: Path) -> None:
    assert find_any_run(tmp_path, str(FIXTURES / "wandb")) == FIXTURES / "wandb"
    with pytest.raises(UnknownRunError, match="holds several runs"):
        find_any_run(tmp_path, str(FIXTURES))
    with pytest.raises(UnknownRunError, match="no such run"):
        find_any_run(tmp_path, str(tmp_path / "missing"))
    with pytest.raises(RunError, match="TensorBoard"):
        open_run(tmp_path)


def test_nothing_of_a_run_is_written_to(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(FIXTURES, copy)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    for run in discovered(copy):
        run.reader().poll()
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_folders_of_splits_are_one_run_of_tensorboard(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        shutil.copytree(FIXTURES / "tensorboard", tmp_path / "run" / split)
    (found,) = discovered(tmp_path)
    assert found.path == tmp_path / "run"
    reader = found.reader()
    reader.poll()
    assert len(reader.series("train/loss")[0]) == 3


def test_a_folder_of_ultralytics_has_its_validation_and_its_weights(tmp_path: Path) -> None:
    folder = tmp_path / "train4"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "best.pt").write_bytes(bytes(10))
    (folder / "args.yaml").write_text("task: detect\nepochs: 10\nlr0: 0.01\n")
    head = "epoch,time,train/box_loss,metrics/mAP50(B),val/box_loss,lr/pg0"
    (folder / "results.csv").write_text(f"{head}\n1,5.5,1.5,0.25,1.25,0.01\n2,11,1.25,0.5,1.0,0.02\n")
    reader = read(folder)
    assert values(reader, "validation/metrics/mAP50(B)") == [0.25, 0.5]
    assert values(reader, "lr") == [0.01, 0.02]
    assert reader.best() == {"metric": "metrics/mAP50(B)", "value": 0.5, "epoch": 2, "step": 2}
    assert (reader.progress().epoch, reader.progress().epochs) == (2, 10)
    assert [Path(checkpoint.file).name for checkpoint in reader.checkpoints()] == ["best.pt"]


def test_an_output_is_read_by_what_it_says(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("starting at 10:24:36\nstep 10/30 loss: 1.5 lr=1e-3\n\x1b[2mstep 20/30 loss: 0.75 lr=5e-4\x1b[0m\n")
    found = foreign_run(log)
    assert found is not None and found.format.title == "log"
    reader = read(log)
    assert reader.series("train/loss")[0].tolist() == [10, 20]
    assert values(reader, "lr") == [0.001, 0.0005]


def test_runs_of_one_name_in_two_folders_keep_apart_and_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, rate in (("one", "0.25"), ("other", "0.5")):
        config = parse_config(PERCEPTRON, "case", [f"optimizer.lr={rate}"])
        run = RunWriter.create(tmp_path / folder, config, {})
        run.close("finished")
        run.path.rename(run.path.with_name("case-1"))
    catalog = WideCatalog([tmp_path / "one", tmp_path / "other"])
    runs = catalog.look()
    assert sorted(catalog.settings(run)["optimizer.lr"] for run in runs) == [0.25, 0.5]
    assert sorted((catalog.known_settings(run) or {})["optimizer.lr"] for run in runs) == [0.25, 0.5]
    monkeypatch.setattr("torchdeck.engine.runs.browsing.run_catalog.summarize_run", None)
    assert {run.path for run in catalog.look()} == {run.path for run in runs}
