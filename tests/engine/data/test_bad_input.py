"""Files and code as users have them: each fault is one message that names the file or the index."""

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import CPU, component, no_progress, open_and_build, run_config, write_images
from PIL import Image, ImageOps
from torchvision import datasets

from torchdeck.engine.build import prepare
from torchdeck.engine.checkpoints.evaluate import evaluate_checkpoint
from torchdeck.engine.checkpoints.restored import restore_model
from torchdeck.engine.config import LoaderConfig, RunConfig, TrainingConfig
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.exploration.duplicates import find_duplicates
from torchdeck.engine.data.exploration.image_sizes import look_at_sizes
from torchdeck.engine.data.loading.bad_files import find_bad_files, open_usable
from torchdeck.engine.data.loading.loaders import build_loaders
from torchdeck.engine.errors import ConfigError, DataError, TorchdeckError, UserCodeError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.preflight.dry_run import dry_run
from torchdeck.engine.preflight.inspection import inspect_draft
from torchdeck.engine.runs.reader import RunReader

IN_ORDER = {"shuffle": False}


def photograph(width: int = 24, height: int = 16) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height))


def folder_with(root: Path, image: Image.Image, name: str, **saving: Any) -> Path:
    for label in ("a", "b"):
        write_images(root / label, 4, size=(24, 16))
    image.save(root / "a" / name, **saving)
    return root


def epoch(root: Path, **config: Any) -> torch.Tensor:
    data = open_and_build(run_config(dataset=str(root), validation=0.2, loader=IN_ORDER, **config))[1]
    return torch.cat([inputs for inputs, _ in data.train.batches(0)])


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (photograph().convert("P", palette=Image.Palette.ADAPTIVE), "0.png"),
        (photograph().convert("RGBA"), "0.png"),
        (photograph().convert("CMYK"), "0.jpg"),
        (photograph().convert("L"), "0.png"),
        (photograph().convert("1"), "0.png"),
    ],
    ids=["palette", "alpha", "CMYK", "gray", "black and white"],
)
@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_images_of_other_modes_are_read_as_torchvision_reads_them(
    image: Image.Image, name: str, storage: str, tmp_path: Path
) -> None:
    folder_with(tmp_path, image, name)
    theirs = {np.asarray(picture).tobytes() for picture, _ in datasets.ImageFolder(str(tmp_path))}
    ours = (epoch(tmp_path, storage=storage) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert {pixels.tobytes() for pixels in ours} <= theirs


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_photographs_are_turned_as_their_exif_says(orientation: int, storage: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            photograph().save(tmp_path / label / f"{number}.jpg", exif=exif)
    with Image.open(tmp_path / "a/0.jpg") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    config = {"dataset": str(tmp_path), "validation": 0.5, "storage": storage}
    pixels = next(open_and_build(run_config(**config))[1].train.batches(0))[0]
    assert np.array_equal((pixels[0] * 255).round().byte().permute(1, 2, 0).numpy(), expected)


def test_photographs_may_be_taken_as_they_are_stored_as_torchvision_does(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    folder_with(tmp_path, photograph(), "0.jpg", exif=exif)
    assert epoch(tmp_path, exif=False).shape[1:] == (3, 16, 24)
    sources = [
        open_sources(run_config(dataset=str(tmp_path), validation=0.2, exif=exif).data, 0) for exif in (True, False)
    ]
    assert sources[0].fingerprint != sources[1].fingerprint
    with pytest.raises(DataError, match="images differ in shape"):
        epoch(tmp_path, storage="loader")


@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_a_truncated_photograph_is_named(storage: str, tmp_path: Path) -> None:
    folder_with(tmp_path, photograph(240, 160).resize((24, 16)), "9.jpg")
    whole = (tmp_path / "a/9.jpg").read_bytes()
    (tmp_path / "a/9.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(DataError, match=r"a/9\.jpg: can't be decoded"):
        config = run_config(dataset=str(tmp_path), validation=0.1, storage=storage, loader=IN_ORDER)
        data = open_and_build(config)[1]
        for loader in (data.train, data.validation):
            list(loader.batches(0))


def damaged_folder(root: Path) -> Path:
    """Two classes of ten images, two of them damaged."""
    for label in ("a", "b"):
        write_images(root / label, 10, size=(24, 16))
    whole = (root / "a/3.png").read_bytes()
    (root / "a/3.png").write_bytes(whole[: len(whole) // 2])
    (root / "b/7.png").write_text("no image")
    return root


def damaged_config(tmp_path: Path, **data: Any) -> RunConfig:
    root = damaged_folder(tmp_path / "images")
    return run_config(dataset=str(root), validation=0.2, cache=str(tmp_path / "cache"), loader=IN_ORDER, **data)


@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_damaged_files_are_skipped_by_choice_and_listed(storage: str, tmp_path: Path) -> None:
    config = damaged_config(tmp_path, storage=storage, bad_files="skip")
    prepared = prepare(config, no_progress)
    assert [Path(file.path).name for file in prepared.left_out] == ["3.png", "7.png"]
    assert len(prepared.sources.train) + len(prepared.sources.validation) == 18
    assert any("2 images can't be decoded and are left out" in note for note in prepared.sources.notes)
    data = build_loaders(prepared.sources, config, CPU, no_progress)
    batches = [batch for loader in (data.train, data.validation) for batch in loader.batches(0)]
    assert sum(len(targets) for _, targets in batches) == 18
    whole = open_sources(config.data, config.seed)
    assert whole.train.indices is not None and prepared.sources.train.indices is not None
    assert set(prepared.sources.train.indices) <= set(whole.train.indices)


def test_all_damaged_files_are_named_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'2 images can\'t be decoded: .*3\.png: .*7\.png: .*data.bad_files = "skip"'):
        prepare(damaged_config(tmp_path, storage="loader"), no_progress)


def test_damaged_files_are_in_the_events_and_the_log_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = damaged_config(tmp_path, bad_files="skip").model_copy(update={"training": TrainingConfig(epochs=1)})
    run = launch(config, tmp_path / "runs")
    run.join()
    assert run.status == "finished" and run.path is not None
    reader = RunReader(run.path)
    reader.poll()
    (event,) = [event for event in reader.events() if event["kind"] == "left_out"]
    assert [Path(path).name for path, _ in event["files"]] == ["3.png", "7.png"]
    assert "3.png: image file is truncated" in capsys.readouterr().out


def test_a_run_that_left_files_out_is_measured_and_built_again_without_them(tmp_path: Path) -> None:
    config = damaged_config(tmp_path, bad_files="skip").model_copy(
        update={"training": TrainingConfig(epochs=1), "loader": LoaderConfig(subset="0.5")}
    )
    run = launch(config, tmp_path / "runs")
    run.join()
    assert run.status == "finished" and run.path is not None
    checkpoint = run.path / "checkpoints" / "last.pt"
    recorded = torch.load(checkpoint, weights_only=True)["metrics"]
    assert evaluate_checkpoint(checkpoint, split="validation").metrics == recorded
    sources, _ = open_usable(config, no_progress)
    assert evaluate_checkpoint(checkpoint, split="train").samples == len(sources.train) < 18 - len(sources.validation)
    # Outside of its run nothing but the data tells the shape of a sample.
    copy = shutil.copy(checkpoint, tmp_path / "copy.pt")
    assert restore_model(Path(copy)).input_shape == (3, 16, 24)


def test_files_are_looked_at_once_until_they_change(tmp_path: Path) -> None:
    config = damaged_config(tmp_path)
    splits = [open_sources(config.data, 0).train]
    decoded: list[int] = []

    def find() -> int:
        decoded.clear()
        return len(find_bad_files(splits, tmp_path / "cache", lambda message, done, total: decoded.append(done)))

    assert find() == 2 and decoded
    assert find() == 2 and not decoded
    write_images(tmp_path / "images/b", 10, size=(24, 16))
    assert find() == 1 and decoded


def test_what_a_dry_run_of_a_relative_folder_found_holds_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged_folder(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    config = run_config(dataset="images", validation=0.2, cache="cache", bad_files="skip", loader=IN_ORDER)
    dry_run(config, Path("runs"), no_progress)
    run = launch(config.model_copy(update={"training": TrainingConfig(epochs=1)}), tmp_path / "runs")
    run.join()
    assert run.status == "finished", run.error
    assert len(list((tmp_path / "cache").glob("scan-*.json"))) == 1


def unopenable(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "dangling link":
        path.symlink_to("nowhere.png")
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path.symlink_to("/dev/zero")


KINDS = ["dangling link", "FIFO", "socket", "link to a device"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_what_is_no_regular_file_is_never_waited_for(
    kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("a", "b"):
        write_images(tmp_path / "i" / label, 10, size=(24, 16), suffix=suffix)
    # A socket's path is short.
    monkeypatch.chdir(tmp_path / "i/a")
    unopenable(Path(f"3.{suffix}"), kind)
    config = run_config(dataset=str(tmp_path / "i"), validation=0.2, cache=str(tmp_path / "cache"), loader=IN_ORDER)
    problem = "not there" if kind == "dangling link" else "not a regular file"
    with pytest.raises(DataError, match=rf"1 image can't be decoded: .*a/3\.{suffix}: {problem}"):
        dry_run(config, tmp_path / "runs", no_progress)
    skipping = config.model_copy(update={"data": config.data.model_copy(update={"bad_files": "skip"})})
    sources = open_usable(skipping, no_progress)[0]
    data = build_loaders(sources, skipping, CPU, no_progress)
    assert sum(len(targets) for loader in (data.train, data.validation) for _, targets in loader.batches(0)) == 19
    found = look_at_sizes(sources.train, range(len(sources.train)), progress=no_progress)
    assert not found.unreadable
    find_duplicates(open_sources(config.data, 0), by_pixels=False, progress=no_progress)


def test_a_split_of_damaged_files_only_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "train/a", 3)
    write_images(tmp_path / "val/a", 2)
    for file in (tmp_path / "val/a").iterdir():
        file.write_text("no image")
    config = run_config(dataset=str(tmp_path), cache=str(tmp_path / "cache"), bad_files="skip")
    with pytest.raises(DataError, match="none of the validation split's 2 images can be decoded"):
        prepare(config, no_progress)


def test_files_that_are_no_images_are_left_out_by_name_and_named_by_content(tmp_path: Path) -> None:
    folder_with(tmp_path, photograph(), "5.png")
    (tmp_path / "a/notes.txt").write_text("no image")
    (tmp_path / "a/.hidden.png").write_bytes(b"no image")
    assert len(open_sources(run_config(dataset=str(tmp_path), validation=0.2).data, 0).train) == 7
    (tmp_path / "a/0.png").write_text("no image")
    with pytest.raises(DataError, match=r"a/0\.png: can't be decoded"):
        epoch(tmp_path)


def test_a_set_of_one_class_is_split_and_read(tmp_path: Path) -> None:
    write_images(tmp_path / "only", 5)
    sources, data = open_and_build(run_config(dataset=str(tmp_path), validation=0.2))
    assert sources.classes == ["only"]
    assert sources.notes == ["all training samples are of one class, only: there is nothing to learn"]
    assert [targets.tolist() for _, targets in data.train.batches(0)] == [[0] * 4]


FAILS_AT_4711 = """
import torch

class Numbers:
    targets = [index % 2 for index in range(5000)]

    def __len__(self):
        return 5000

    def __getitem__(self, index):
        if index == 4711:
            raise OSError("stale file handle")
        return torch.full((1, 4, 4), index % 256, dtype=torch.uint8), index % 2

def make():
    return {"train": Numbers(), "test": Numbers()}
"""


@pytest.mark.parametrize("options", [{"storage": "auto"}, {"storage": "loader"}, {"storage": "loader", "workers": 1}])
def test_an_index_that_can_not_be_read_is_named(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "numbers.py").write_text(FAILS_AT_4711)
    loader = IN_ORDER | {"num_workers": options.get("workers", 0), "batch_size": 500}
    config = run_config(dataset=f"{tmp_path}/numbers.py:make", storage=options["storage"], loader=loader)
    with pytest.raises(UserCodeError, match=r"sample 4711 of the \w+ data(.|\n)*stale file handle"):
        list(open_and_build(config)[1].train.batches(0, 9))


@pytest.mark.parametrize(
    "returned", ["image[0, 0]", "image[:, 0]", "image[:, :0]", "None", "'text'", "image[:, :3 + int(image.sum() % 3)]"]
)
def test_a_transform_that_returns_another_shape_is_refused(returned: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"def broken():\n    return lambda image: {returned}\n")
    transforms = [component(f"{tmp_path}/mine.py:broken")]
    config = run_config(dataset="digits", validation=0.2, train_transforms=transforms)
    with pytest.raises(TorchdeckError) as error:
        list(open_and_build(config)[1].train.batches(0))
    assert "mine.py" in str(error.value) or "images differ in shape" in str(error.value)


def test_a_folder_that_is_not_there_is_not_taken_for_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown data set, and no such folder"):
        open_sources(run_config(dataset=f"{tmp_path}/nothing").data, 0)


def test_a_draft_is_inspected_without_the_files_that_its_run_leaves_out(tmp_path: Path) -> None:
    config = damaged_config(tmp_path, bad_files="skip")
    for image in sorted(tmp_path.rglob("*.png"))[:3]:
        image.write_bytes(b"no image")
    inspection = inspect_draft(config)
    assert inspection.num_classes == 2
    assert not inspection.assumption
