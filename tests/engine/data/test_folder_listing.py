"""Folders of tools among the user's are no data, at any depth, and what is not read is said."""

import os
import shutil
from pathlib import Path

import pytest
from data_cases import open_and_build, run_config, write_images

from torchdeck.engine.data.datasets.images.folder_listing import LeftOut, image_files
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.errors import DataError

TOOLS = [
    ".ipynb_checkpoints",
    "__MACOSX",
    ".git",
    "@eaDir",
    ".thumbnails",
    "__pycache__",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "#recycle",
    ".Trash-1000",
]


def two_classes(root: Path) -> Path:
    for label in ("cat", "dog"):
        write_images(root / label, 5)
    return root


def opened(root: Path, **data: object) -> tuple[list[str], int, str]:
    """Classes, samples in all, and what is said."""
    sources = open_sources(run_config(dataset=str(root), validation=0.2, **data).data, 0)
    return sources.classes, len(sources.train) + len(sources.validation), "\n".join(sources.notes)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("below", ["", "cat", "cat/persian/kitten"])
def test_a_tool_s_folder_is_left_out_at_every_depth(tool: str, below: str, tmp_path: Path) -> None:
    root = two_classes(tmp_path)
    write_images(root / below / tool / "deeper", 3)
    write_images(root / below / tool, 3)
    write_images(root / "cat/persian/kitten", 1)
    classes, samples, notes = opened(root)
    assert (classes, samples) == (["cat", "dog"], 11)
    assert os.path.join(below, tool) in notes and "deeper" not in notes


def test_a_folder_of_tools_only_is_no_class_and_named(tmp_path: Path) -> None:
    write_images(tmp_path / "__MACOSX", 2)
    with pytest.raises(DataError, match=r"contains only hidden folders and folders of tools \(__MACOSX\)"):
        opened(tmp_path)


def test_every_part_has_the_same_rule(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        two_classes(tmp_path / part)
        write_images(tmp_path / part / "dog/.ipynb_checkpoints", 2)
        write_images(tmp_path / part / "@eaDir", 2)
    sources = open_sources(run_config(dataset=str(tmp_path)).data, 0)
    assert sources.test is not None
    assert [len(split) for split in (sources.train, sources.validation, sources.test)] == [10, 10, 10]
    said = [note for note in sources.notes if note.endswith("@eaDir, dog/.ipynb_checkpoints")]
    assert [note.split(":")[0].rpartition("/")[2] for note in said] == ["train", "val", "test"]


def test_what_else_is_not_read_is_said(tmp_path: Path) -> None:
    root = two_classes(tmp_path / "images")
    shutil.copy(root / "cat/0.png", root / "cat/._0.png")
    shutil.copy(root / "cat/0.png", root / "0.png")
    (root / "dog/a.gif").write_bytes(b"")
    (root / "dog/b.HEIC").write_bytes(b"")
    (root / "dog/notes.txt").write_text("no image")
    notes = opened(root)[2]
    assert "1 image with hidden names; 1 image beside the class folders" in notes
    assert "images of types that are not read (1 .gif, 1 .heic)" in notes
    assert opened(two_classes(tmp_path / "plain"))[2] == ""


def test_folders_beside_the_splits_are_said(tmp_path: Path) -> None:
    for part in ("train", "val", "extra"):
        two_classes(tmp_path / part)
    (note,) = open_sources(run_config(dataset=str(tmp_path)).data, 0).notes
    assert note == f"left out of {tmp_path}: folders that are not splits: extra"


def test_a_folder_that_can_not_be_read_is_named_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "cat/gone").mkdir(parents=True)

    def remove(found: int) -> None:
        (tmp_path / "cat/gone").rmdir()

    with pytest.raises(DataError, match="cat/gone: can't be read: No such file or directory"):
        image_files(tmp_path, tmp_path / "cat", LeftOut(), remove)


def test_gray_training_images_make_colored_validation_images_gray_with_a_word(tmp_path: Path) -> None:
    write_images(tmp_path / "train/a", 3, mode="L")
    write_images(tmp_path / "train/b", 3, mode="L")
    two = [tmp_path / "val/a", tmp_path / "val/b"]
    for folder in two:
        write_images(folder, 2, mode="L")
    assert open_sources(run_config(dataset=str(tmp_path)).data, 0).notes == []
    write_images(two[1], 2)
    sources, data = open_and_build(run_config(dataset=str(tmp_path)))
    assert data.input_shape == (1, 10, 12)
    (note,) = sources.notes
    assert "every training image is gray" in note and "such as b/0.png" in note
