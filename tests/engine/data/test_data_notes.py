"""What is surprising about data is said: alike in the data pane, the dry run and the run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from data_cases import no_progress, open_and_build, run_config, write_images

from torchdeck.engine.config import Component, ModelConfig, RunConfig, TrainingConfig
from torchdeck.engine.data.exploration.look import look, look_at_samples
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.preflight.dry_run import dry_run
from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.words.data.data_text import notes_of as notes_of_the_pane

DATA = """
import numpy as np
import torch

class Data:
    def __init__(self, inputs, outputs, **attributes):
        self.inputs, self.targets = inputs, outputs
        vars(self).update(attributes)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index], self.targets[index]

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 3, 12, 10), dtype=np.uint8)

def stack(samples):
    return torch.stack([torch.as_tensor(value) for value, _ in samples]), torch.tensor([label for _, label in samples])

def make():
    return {expression}
"""


def config_of(tmp_path: Path, expression: str, model: str = "cnn", **data: Any) -> RunConfig:
    (tmp_path / "data.py").write_text(DATA.replace("{expression}", expression))
    config = run_config(dataset=f"{tmp_path}/data.py:make", validation=0.25, **data)
    return config.model_copy(
        update={"model": ModelConfig(name=model), "training": TrainingConfig(epochs=1, device="cpu")}
    )


def everywhere(config: RunConfig, tmp_path: Path) -> list[str]:
    """The notes of the data pane; those of dry run and run are the same."""
    pane = notes_of_the_pane(
        look(config, is_fresh=True, progress=no_progress), look_at_samples(config, epoch=0, count=2)
    )
    before = dry_run(config, tmp_path / "runs", no_progress).plan.notes
    run = launch(config, tmp_path / "runs")
    run.join()
    assert run.status == "finished" and run.path is not None, run.error
    reader = RunReader(run.path)
    reader.poll()
    told = [event["text"] for event in reader.events() if event["kind"] == "note"]
    assert before[: len(pane)] == pane and told[: len(pane)] == pane
    return pane


def one(notes: list[str]) -> str:
    (note,) = notes
    return note


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("[1, 2, 3] * 8", "3 different numbers up to 3, so the model gets 4 outputs, of which 1 have no training"),
        (
            "[0, 5, 1000] * 8",
            "so the model gets 1,001 outputs, of which 998 have no training sample (1, 2, 3, 4, 6, …)",
        ),
    ],
)
def test_labels_with_gaps(labels: str, words: str, tmp_path: Path) -> None:
    assert words in one(everywhere(config_of(tmp_path, f"Data(list(PIXELS[:, 0]), {labels})"), tmp_path))


def test_named_classes_without_a_sample(tmp_path: Path) -> None:
    config = config_of(tmp_path, "Data(list(PIXELS[:, 0]), [0, 2] * 12, classes=['a', 'b', 'c'])")
    assert one(everywhere(config, tmp_path)) == "no training sample is of 1 of the 3 classes: b"


def test_a_grey_training_folder_with_colored_validation_images(tmp_path: Path) -> None:
    for label in ("a", "b"):
        write_images(tmp_path / "images/train" / label, 4, mode="L")
        write_images(tmp_path / "images/val" / label, 2)
    training = {"training": TrainingConfig(epochs=1, device="cpu")}
    config = run_config(dataset=str(tmp_path / "images")).model_copy(update=training)
    assert "are read as gray too, though some have color, such as a/0.png" in one(everywhere(config, tmp_path))


@pytest.mark.parametrize(
    ("pixels", "storage"),
    [
        ("PIXELS", "memory"),
        ("PIXELS", "mmap"),
        ("PIXELS", "loader"),
        ("PIXELS.astype(np.float32) / 255", "loader"),
    ],
)
def test_channels_first_arrays_are_taken_for_what_they_are(pixels: str, storage: str, tmp_path: Path) -> None:
    data = {"storage": storage, "cache": str(tmp_path / "cache")}
    _, made = open_and_build(config_of(tmp_path, f"Data(list({pixels}), [0, 1] * 12)", **data))
    assert made.input_shape == (3, 12, 10)
    assert made.notes[0] == "samples are NumPy arrays [3, 12, 10], taken as [channels, height, width]"
    tensors = config_of(tmp_path, f"Data(list(torch.from_numpy({pixels})), [0, 1] * 12)", **data)
    _, wanted = open_and_build(tensors)
    pairs = zip(made.train.batches(0), wanted.train.batches(0), strict=True)
    assert all(torch.equal(one, other) for (one, _), (other, _) in pairs)


def test_arrays_of_many_channels_are_said(tmp_path: Path) -> None:
    config = config_of(tmp_path, "Data(list(np.zeros((8, 12, 10, 7), dtype=np.uint8)), [0, 1] * 4)")
    words = "samples are NumPy arrays [12, 10, 7], taken as [height, width, channels]: images of 7 channels"
    assert one(everywhere(config, tmp_path)) == words
    tensors = config_of(tmp_path, "Data(list(torch.zeros(8, 12, 10, 3, dtype=torch.uint8)), [0, 1] * 4)", "mlp")
    words = "samples are tensors [12, 10, 3], taken as [channels, height, width]: images of 12 channels"
    assert one(everywhere(tensors, tmp_path)) == words


def test_shapes_that_differ_are_said_of_images_and_not_of_texts(tmp_path: Path) -> None:
    lengths = "Data([torch.arange(2 + index % 5) for index in range(24)], [0, 1] * 12, classes=['a', 'b'])"
    config = config_of(tmp_path, lengths)
    collated = config.model_copy(update={"loader": config.loader.model_copy(update={"batch_size": 1})})
    _, data = open_and_build(collated)
    assert not any("samples are" in note for note in data.notes)
    images = "Data(list(PIXELS), [0, 1] * 12)"
    resized = config_of(tmp_path, images, eval_transforms=[Component(name="Resize", size=[6, 6])])
    _, data = open_and_build(resized)
    assert data.notes[-1] == "after their transforms, training samples are 3×12×10 and validation samples 3×6×6"
