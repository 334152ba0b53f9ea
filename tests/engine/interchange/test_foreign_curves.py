"""Curves that other tools wrote."""

from pathlib import Path

import numpy as np
import pytest

from torchdeck.engine.errors import RunError
from torchdeck.engine.interchange.foreign_curves import curve_like, read_curves

LIGHTNING = """epoch,lr-SGD,step,train_loss,val_acc,val_loss
0,0.1,49,1.25,,
0,,99,,0.5,0.75
1,0.05,149,nan,,
1,,199,,0.625,0.5
"""


def test_lightnings_table_gives_a_curve_for_every_column_with_only_the_points_there_are(tmp_path: Path) -> None:
    (tmp_path / "version_0").mkdir()
    (tmp_path / "version_0" / "metrics.csv").write_text(LIGHTNING)
    for path in (tmp_path, tmp_path / "version_0" / "metrics.csv"):
        curves = read_curves(path)
        assert [points.tolist() for points in curves["val_acc"]] == [[99.0, 199.0], [0.5, 0.625]]
        assert [points.tolist() for points in curves["lr-SGD"]] == [[49.0, 149.0], [0.1, 0.05]]
        assert curves["train_loss"][0].tolist() == [49.0, 149.0]
        assert "step" not in curves


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "has no column step, global_step, iteration, epoch; its columns are: a, b"),
        ("", "its columns are: none"),
        ("step,loss\nx,y\n", "contains no curve"),
        ("step\n1\n", "contains no curve"),
        ('step,loss\n1,"', "contains no curve"),
    ],
)
def test_a_table_without_curves_is_refused_with_what_it_has(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(RunError, match=message):
        read_curves(tmp_path / "table.csv")


def test_binary_garbage_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "garbage.csv").write_bytes(bytes(range(256)) * 100)
    for path, message in (
        (tmp_path / "garbage.csv", "garbage.csv"),
        (tmp_path / "missing.csv", "No such file"),
        (Path("/dev/zero"), "can't be read"),
    ):
        with pytest.raises(RunError, match=message):
            read_curves(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="contains no curves; supported are"):
        read_curves(tmp_path / "empty")


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        (["val_acc", "train_acc"], "validation/accuracy", "val_acc"),
        (["acc/val", "loss/val"], "validation/loss", "loss/val"),
        (["train_loss_step", "train_loss"], "train/loss", "train_loss"),
        (["trainLoss"], "train/loss", "trainLoss"),
        (["lr-SGD", "momentum"], "lr", "lr-SGD"),
        (["loss"], "train/loss", None),
        ([], "lr", None),
    ],
)
def test_a_curve_is_found_under_the_name_another_tool_gave_it(theirs: list[str], ours: str, found: str | None) -> None:
    assert curve_like({name: (np.zeros(1), np.zeros(1)) for name in theirs}, ours) == found
