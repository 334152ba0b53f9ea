"""A sample's label is what `dataset[i]` says, in every tier; a list of labels only saves the reading."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import no_progress, open_and_build, run_config, write_images

from torchdeck.engine.build import prepare
from torchdeck.engine.config import RunConfig
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.errors import DataError

CODE = """
import random

import numpy as np
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets import ImageFolder

ROOT = "{root}"


def other(label):
    return 2 - label


class Labeled(Dataset):
    '''Sixty images whose samples say index % 3; `listed` is its attribute `targets`.'''

    def __init__(self, listed, of=lambda index: index % 3, count=60):
        self.of, self.count, self.read = of, count, []
        if listed is not None:
            self.targets = listed

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.read.append(index)
        pixels = np.full((6, 5, 3), index % 256, dtype=np.uint8)
        return pixels, self.of(index)


class Wrapped(Dataset):
    '''Changes the labels of another data set, and hands its attributes on.'''

    def __init__(self, inner):
        self.inner = inner

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        image, label = self.inner[index]
        return image, (label + 1) % 3

    def __getattr__(self, name):
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


RIGHT = [index % 3 for index in range(60)]
SHUFFLED = random.Random(0).sample(RIGHT, 60)
SENTENCE = [0 if index == 31 else label for index, label in enumerate(RIGHT)]


def make():
    return {expression}
"""

# Each with what its sample number i says, as an expression.
SETS = {
    "a target_transform": "ImageFolder(ROOT, target_transform=other)",
    "a shuffled list": "Labeled(SHUFFLED)",
    "a list of tensors": "Labeled(torch.tensor(SHUFFLED))",
    "labels in a tensor": "Labeled(RIGHT, lambda index: torch.tensor(index % 3))",
    "no list": "Labeled(None)",
    "a list of another length": "Labeled(SHUFFLED[:9])",
    "a subset": "Subset(ImageFolder(ROOT, target_transform=other), list(range(3, 27)))",
    "a subset in another order": "Subset(Labeled(RIGHT), SHUFFLED + list(range(30))[::-1])",
    "several": "ConcatDataset([Labeled(RIGHT), Labeled(SHUFFLED), Subset(Labeled(None), [4, 2, 0, 1])])",
    "a wrapper that changes labels": "Wrapped(ImageFolder(ROOT))",
    "a wrapper of a subset": "Wrapped(Subset(Labeled(RIGHT), list(range(50))))",
    "values": "Labeled([float(label) for label in SHUFFLED], lambda index: index / 7)",
    "several values": "Labeled(np.zeros((60, 2)), lambda index: [index / 7, 1.0])",
}


def config_of(tmp_path: Path, expression: str, **data: Any) -> RunConfig:
    root = tmp_path / "images"
    for number, label in enumerate("abc"):
        write_images(root / label, 10, size=(6, 5), seed=number)
    (tmp_path / "data.py").write_text(CODE.replace("{root}", str(root)).replace("{expression}", expression))
    data = {"validation": 0.2, "cache": str(tmp_path / "cache")} | data
    return run_config(dataset=f"{tmp_path}/data.py:make", loader={"batch_size": 7}, **data)


def trained_on(config: RunConfig) -> list[tuple[bytes, list[float]]]:
    """Every image of an epoch of training and validation, with the label that it comes with."""
    _, data = open_and_build(config)
    pairs = []
    for loader in (data.train, data.validation):
        for inputs, targets in loader.batches(0):
            pairs += [
                (image.numpy().tobytes(), target.view(-1).tolist())
                for image, target in zip(inputs, targets, strict=True)
            ]
    return sorted(pairs)


def said(config: RunConfig) -> list[tuple[bytes, list[float]]]:
    """The same, by asking the data set."""
    dataset: Any = open_sources(config.data, 0).train.dataset
    pairs = []
    for index in range(len(dataset)):
        image, target = dataset[index]
        pixels = torch.from_numpy(np.array(image))
        scaled = pixels.movedim(-1, 0).contiguous().float().div(255)
        is_whole = isinstance(target, int) or getattr(target, "dtype", None) == torch.int64
        kind = torch.int64 if is_whole else torch.float32
        pairs.append((scaled.numpy().tobytes(), torch.as_tensor(target, dtype=kind).view(-1).tolist()))
    return sorted(pairs)


@pytest.mark.parametrize("name", SETS)
def test_every_tier_trains_on_what_the_samples_say(name: str, tmp_path: Path) -> None:
    config = config_of(tmp_path, SETS[name])
    wanted = said(config)
    assert len(wanted) > 20
    for storage in ("memory", "mmap", "loader"):
        data = config.data.model_copy(update={"storage": storage})
        assert trained_on(config.model_copy(update={"data": data})) == wanted, storage


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a target_transform", "the attribute `targets` has 0 for sample 0, which has 2, so every sample was read"),
        ("a wrapper that changes labels", "so every sample was read and its own label is used"),
        ("a list of another length", "the attribute `targets` has 9 entries for 60 samples"),
        ("no list", "an attribute `targets` on the data set would avoid that"),
    ],
)
def test_why_labels_were_read_is_said_in_the_run(name: str, words: str, tmp_path: Path) -> None:
    notes = prepare(config_of(tmp_path, SETS[name]), no_progress).sources.notes
    assert any(words in note for note in notes)


@pytest.mark.parametrize(
    "expression",
    [
        "Labeled(RIGHT, count=60)",
        "Subset(Labeled(RIGHT), list(range(50)))",
        "ConcatDataset([Labeled(RIGHT, count=60)] * 3)",
    ],
)
def test_a_list_that_agrees_saves_the_reading(expression: str, tmp_path: Path) -> None:
    large = expression.replace("RIGHT", "RIGHT * 50").replace("count=60", "count=3000")
    sources = open_sources(config_of(tmp_path, large).data, 0)
    assert sources.notes == []
    dataset: Any = sources.train.dataset
    while not hasattr(dataset, "read"):
        dataset = dataset.dataset if hasattr(dataset, "dataset") else dataset.datasets[0]
    assert 0 < len(dataset.read) < 100


@pytest.mark.parametrize("storage", ["memory", "mmap", "loader"])
def test_a_wrong_entry_that_no_look_found_is_named_when_its_sample_is_read(storage: str, tmp_path: Path) -> None:
    listed = "[2 if index == 301 else index % 3 for index in range(3000)]"
    config = config_of(tmp_path, f"Labeled({listed}, count=3000)", storage=storage)
    with pytest.raises(
        DataError, match=r"sample 301 of the \w+ data: its target is 1, and .*`targets` says 2"
    ) as caught:
        trained_on(config)
    assert "make them agree, or remove the attribute" in str(caught.value)


@pytest.mark.parametrize("inputs", ["images", "numbers"])
def test_labels_that_are_drawn_anew_are_never_kept(inputs: str, tmp_path: Path) -> None:
    config = config_of(tmp_path, "Labeled(RIGHT, lambda index: random.randrange(3))")
    if inputs == "numbers":
        text = (tmp_path / "data.py").read_text()
        (tmp_path / "data.py").write_text(
            text.replace("np.full((6, 5, 3), index % 256, dtype=np.uint8)", "torch.ones(4)")
        )
    _, data = open_and_build(config)
    assert data.storage == "DataLoader"
    assert any("the data set returns different" in note for note in data.notes)


@pytest.mark.parametrize("storage", ["memory", "mmap"])
def test_a_label_that_changes_after_the_look_is_named_with_the_tier_that_allows_it(
    storage: str, tmp_path: Path
) -> None:
    expression = "Labeled(None, lambda index: (index if index != 41 else next(COUNTER)) % 3)"
    config = config_of(tmp_path, expression, storage=storage)
    text = (tmp_path / "data.py").read_text()
    (tmp_path / "data.py").write_text(
        text.replace("import random\n", "import itertools\nimport random\n\nCOUNTER = itertools.count()\n", 1)
    )
    with pytest.raises(
        DataError, match=r'sample 41 .*returns different targets for the same index.*data.storage = "loader"'
    ):
        trained_on(config)
