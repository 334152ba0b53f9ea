"""The user's own data sets of any samples, from the examples of docs/own-data.md, all the way through a run."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from data_cases import CPU, no_progress, open_and_build, run_config
from torch import Tensor

from torchdeck.engine.build import prepare
from torchdeck.engine.config import Component, LossConfig, ModelConfig, RunConfig, TrainingConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.exploration.look import look_at_samples
from torchdeck.engine.data.exploration.sample_text import bars, describe, target_words
from torchdeck.engine.data.loading.kept_tensors import TensorLoader
from torchdeck.engine.data.loading.loaders import build_loaders, evaluation_loader
from torchdeck.engine.data.loading.workers import WorkerLoader
from torchdeck.engine.errors import ConfigError, DataError, TorchdeckError, UserCodeError
from torchdeck.engine.inputs import call_model, tensors_of
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.preflight.inspection import inspect_draft
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint

PAGE = Path(__file__).parents[3] / "docs" / "own-data.md"
NAMES = ["signals", "volumes", "text"]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file that the page shows."""
    for text, name in re.findall(r"^```\w+\n(# (\S+\.(?:py|toml))\n.*?)^```$", PAGE.read_text(), flags=re.M | re.S):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def batches_of(config: RunConfig, epoch: int = 0, start: int = 0) -> list[Any]:
    sources = open_sources(config.data, config.seed)
    return list(build_loaders(sources, config, CPU, no_progress).train.batches(epoch, start))


def same(one: Any, other: Any) -> bool:
    pairs = list(zip(tensors_of(one), tensors_of(other), strict=True))
    return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_takes_what_the_example_gives(name: str, examples: Path) -> None:
    prepared = prepare(load_config(f"{name}.toml"), no_progress)
    config, sources = prepared.config, prepared.sources
    loader = evaluation_loader(sources.validation, config, CPU, no_progress)
    inputs, targets = next(iter(loader.batches(0)))
    assert call_model(prepared.model, inputs).shape == (len(targets), 2)
    inspection = inspect_draft(config)
    assert inspection.report.error is None
    assert inspection.input_shape == prepared.input_shape


def test_shapes_are_those_of_the_samples(examples: Path) -> None:
    shapes = [prepare(load_config(f"{name}.toml"), no_progress).input_shape for name in NAMES]
    assert shapes[:2] == [(2, 100), (1, 8, 12, 12)]
    assert isinstance(shapes[2], dict) and list(shapes[2]) == ["tokens", "mask"]


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_the_same_wherever_an_epoch_is_entered_and_with_workers(name: str, examples: Path) -> None:
    config = load_config(f"{name}.toml", ["loader.batch_size=32"])
    through = batches_of(config, epoch=1)
    assert same(batches_of(config, epoch=1, start=3), through[3:])
    assert not same(batches_of(config, epoch=2)[0][1], through[0][1])
    if name == "text":
        workers = load_config(f"{name}.toml", ["loader.batch_size=32", "loader.num_workers=1"])
        assert same(batches_of(workers, epoch=1), through)


@pytest.mark.parametrize("name", ["signals", "text"])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(name: str, examples: Path, tmp_path: Path) -> None:
    options = ["training.epochs=2", "checkpoint.every_steps=5", "checkpoint.keep_last=9", "training.device=cpu"]
    config = load_config(f"{name}.toml", options)
    whole = launch(config, tmp_path / "runs")
    whole.join()
    assert whole.status == "finished" and whole.path is not None, whole.error
    last = load_checkpoint(whole.path / "checkpoints" / "last.pt")
    resumed = launch_resumed(whole.path, checkpoint=whole.path / "checkpoints" / "step-000000005.pt")
    resumed.join()
    assert resumed.status == "finished", resumed.error
    again = load_checkpoint(whole.path / "checkpoints" / "last.pt")
    assert same(again["model_state_dict"], last["model_state_dict"])
    assert again["best"] == last["best"]


DATA = """
import numpy as np
import torch

class Data:
    def __init__(self, inputs, outputs, **attributes):
        self.inputs, self.outputs = inputs, outputs
        vars(self).update(attributes)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index], self.outputs[index]

def make():
    return {expression}
"""


def config_of(tmp_path: Path, expression: str, **data: Any) -> RunConfig:
    (tmp_path / "data.py").write_text(DATA.replace("{expression}", expression))
    loader = data.pop("loader", {}) | {"shuffle": False}
    return run_config(dataset=f"{tmp_path}/data.py:make", validation=0.25, loader=loader, **data)


@pytest.mark.parametrize(
    ("inputs", "dtype", "shape"),
    [
        ("np.zeros((12, 40))", torch.float32, (40,)),
        ("torch.zeros(12, 3, 40, dtype=torch.float64)", torch.float32, (3, 40)),
        ("torch.zeros(12, 40, dtype=torch.long)", torch.int64, (40,)),
        ("[[1, 2, 3]] * 12", torch.int64, (3,)),
        ("[0.5] * 12", torch.float32, ()),
        ("torch.zeros(12, 1, 4, 5, 6, dtype=torch.uint8)", torch.uint8, (1, 4, 5, 6)),
        ("torch.zeros(12, 3, 4, 5)", torch.float32, (3, 4, 5)),
        ("np.zeros((12, 4, 5), dtype=np.uint8)", torch.float32, (1, 4, 5)),
    ],
)
@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_an_input_reaches_the_model_in_its_own_shape(
    inputs: str, dtype: torch.dtype, shape: tuple[int, ...], storage: str, tmp_path: Path
) -> None:
    config = config_of(tmp_path, f"Data({inputs}, [0, 1] * 6)", storage=storage)
    for values, _ in batches_of(config):
        assert isinstance(values, Tensor)
        assert (values.dtype, values.shape) == (dtype, (8, *shape))


@pytest.mark.parametrize(
    ("targets", "dtype", "shape", "classes"),
    [
        ("[0, 1, 2] * 4", torch.int64, (8,), ["0", "1", "2"]),
        ("[0.5, 1.5] * 6", torch.float32, (8,), ["value"]),
        ("torch.rand(12)", torch.float32, (8,), ["value"]),
        ("np.random.rand(12, 3)", torch.float32, (8, 3), ["value 0", "value 1", "value 2"]),
        ("[[0, 1, 1], [1, 0, 0]] * 6", torch.float32, (8, 3), ["value 0", "value 1", "value 2"]),
    ],
)
@pytest.mark.parametrize("known", ["", ", targets=list(TARGETS)"])
@pytest.mark.parametrize("inputs", ["torch.zeros(12, 3, 8, 8, dtype=torch.uint8)", "torch.zeros(12, 40)"])
def test_targets_are_classes_or_numbers(
    targets: str,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    classes: list[str],
    known: str,
    inputs: str,
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, f"Data({inputs}, {targets}{known.replace('TARGETS', targets)})")
    sources, data = open_and_build(config)
    assert sources.classes == classes
    (_, found), *_ = list(data.train.batches(0))
    assert (found.dtype, found.shape[1:]) == (dtype, shape[1:])
    parts = [split.indices for split in (sources.train, sources.validation)]
    assert sorted(index for indices in parts if indices is not None for index in indices) == list(range(12))


def test_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the target of sample 3 is nan"):
        batches_of(config_of(tmp_path, "Data(torch.zeros(5, 4), [0.1, 0.2, 0.3, float('nan'), 0.5])"))


def test_samples_of_different_lengths_ask_for_a_collate_fn(tmp_path: Path) -> None:
    expression = "Data([torch.zeros(4 + index % 2) for index in range(8)], [0, 1] * 4)"
    message = r"inputs differ in shape: sample \d of the train data is \[\d\], sample \d .*collate_fn"
    with pytest.raises(DataError, match=message):
        batches_of(config_of(tmp_path, expression))


COLLATE = """
import torch

def pad(samples):
    longest = max(len(values) for values, _ in samples)
    inputs = torch.stack([torch.nn.functional.pad(values, (0, longest - len(values))) for values, _ in samples])
    return inputs + torch.rand(()), torch.tensor([target for _, target in samples])

def wrong(samples):
    return RETURNED
"""


def test_a_collate_fn_is_named_in_the_config_and_its_random_numbers_are_keyed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(COLLATE)
    expression = "Data([torch.zeros(4 + index % 3) for index in range(16)], [0, 1] * 8)"
    options = {"collate_fn": f"{tmp_path}/mine.py:pad", "batch_size": 4}
    config = config_of(tmp_path, expression, loader=options)
    loader = open_and_build(config)[1].train
    assert isinstance(loader, WorkerLoader)
    through = list(loader.batches(2))
    assert len({float(inputs[0, 0]) for inputs, _ in through}) == 3
    assert same(list(loader.batches(2, 2)), through[2:])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "returned NoneType; expected"),
        ("('text', torch.zeros(len(samples)))", "its inputs are str"),
        ("(torch.zeros(2), [1, 2])", "its targets are list"),
        ("(torch.zeros(2), torch.zeros(77))", r"its targets are Tensor of \[77\]"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_collate_fn_that_makes_no_batch_is_named(returned: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(COLLATE.replace("RETURNED", returned))
    config = config_of(
        tmp_path, "Data(torch.zeros(8, 4), [0, 1] * 4)", loader={"collate_fn": f"{tmp_path}/mine.py:wrong"}
    )
    with pytest.raises(UserCodeError, match=f"collate_fn wrong: .*{message}"):
        batches_of(config)


TRAINABLE = {"model": ModelConfig(name="mlp"), "training": TrainingConfig(epochs=1, device="cpu")}


@pytest.mark.parametrize("inputs", ["torch.rand(len(samples), 4)", "torch.rand(len(samples), 4, dtype=torch.float64)"])
@pytest.mark.parametrize(
    ("targets", "dtype"),
    [
        *(
            (f"torch.tensor([0, 1] * 9)[:len(samples)].to(torch.{kind})", torch.int64)
            for kind in ("uint8", "int8", "int16", "int32", "int64", "bool")
        ),
        ("torch.full((len(samples), 2), 0.5)", torch.float32),
        ("torch.full((len(samples), 2), 0.5, dtype=torch.float64)", torch.float32),
    ],
)
def test_a_collate_fn_may_return_classes_as_any_whole_numbers_or_as_shares(
    inputs: str, targets: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(COLLATE.replace("RETURNED", f"{inputs}, {targets}"))
    options = {"collate_fn": f"{tmp_path}/mine.py:wrong", "batch_size": 4}
    config = config_of(tmp_path, "Data(torch.zeros(16, 4), [0, 1] * 8)", loader=options).model_copy(update=TRAINABLE)
    for made, labels in batches_of(config):
        assert (made.dtype, labels.dtype) == (torch.float32, dtype)
    if "uint8" in targets or "float64" in targets:
        run = launch(config, tmp_path / "runs")
        run.join()
        assert run.status == "finished", run.error


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (
            "[0, 1] * 8",
            "torch.zeros(len(samples), 1).long()",
            r"its targets are int64 \[1, 1\].*expected whole numbers \[batch\]",
        ),
        ("[0, 1] * 8", "torch.zeros(len(samples))", r"its targets are float32 \[1\], and the data set's are classes"),
        ("[0, 1] * 8", "torch.zeros(len(samples), dtype=torch.float64)", r"its targets are float64 \[1\]"),
        ("[0, 1] * 8", "torch.zeros(len(samples), 1)", r"its targets are float32 \[1, 1\]"),
        ("[0, 1] * 8", "torch.zeros(len(samples), 3)", "its targets are shares of 3 classes, and there are 2"),
        ("[0, 1] * 8", "torch.full((len(samples),), 2)", r"the class index 2, and there are 2 classes \(0 to 1\)"),
        ("[0, 1] * 8", "torch.full((len(samples),), -100)", "the class index -100"),
        (
            "[0.5, 1] * 8",
            "torch.zeros(len(samples), 2)",
            r"are float32 \[1, 2\], and the data set's are values: .*\[batch\]",
        ),
        ("[[0.5, 1]] * 16", "torch.zeros(len(samples))", r"are float32 \[1\], and .* expected numbers \[batch, 2\]"),
        ("[0.5, 1] * 8", "torch.zeros(len(samples), dtype=torch.complex64)", "are complex64"),
    ],
)
def test_targets_of_a_collate_fn_that_no_loss_takes_are_refused_before_the_run(
    outputs: str, targets: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(COLLATE.replace("RETURNED", f"torch.rand(len(samples), 4), {targets}"))
    options = {"collate_fn": f"{tmp_path}/mine.py:wrong", "batch_size": 4}
    config = config_of(tmp_path, f"Data(torch.zeros(16, 4), {outputs})", loader=options)
    loss = LossConfig(name="mse" if "." in outputs else "cross_entropy")
    with pytest.raises(UserCodeError, match=f"collate_fn wrong: .*{message}"):
        prepare(config.model_copy(update={**TRAINABLE, "loss": loss}), no_progress)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float64", "float16"])
@pytest.mark.parametrize("shape", ["(len(samples),)", "(len(samples), 1)"])
def test_values_of_a_collate_fn_become_float32(dtype: str, shape: str, tmp_path: Path) -> None:
    returned = f"torch.rand(len(samples), 4), torch.ones({shape}, dtype=torch.{dtype})"
    (tmp_path / "mine.py").write_text(COLLATE.replace("RETURNED", returned))
    options = {"collate_fn": f"{tmp_path}/mine.py:wrong", "batch_size": 4}
    config = config_of(tmp_path, "Data(torch.zeros(16, 4), [0.5, 1] * 8)", loader=options)
    prepare(config.model_copy(update={**TRAINABLE, "loss": LossConfig(name="mse")}), no_progress)
    assert {targets.dtype for _, targets in batches_of(config)} == {torch.float32}


def test_samples_of_one_shape_are_read_once_and_kept(tmp_path: Path) -> None:
    inputs = "torch.arange(4000.0).view(2000, 2)"
    kept = config_of(tmp_path, f"Data({inputs}, [0, 1] * 1000)")
    kept = kept.model_copy(update={"loader": kept.loader.model_copy(update={"shuffle": True})})
    data = open_and_build(kept)[1]
    assert isinstance(data.train, TensorLoader) and data.storage == "24 kB in memory; validation: 8 kB in memory"
    one_by_one = kept.model_copy(update={"data": kept.data.model_copy(update={"storage": "loader"})})
    for epoch, start in ((0, 0), (3, 5)):
        assert same(list(data.train.batches(epoch, start)), batches_of(one_by_one, epoch, start))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ("[torch.zeros(3), torch.zeros(4)] * 4", "samples differ in shape"),
        ("[(torch.zeros(3), torch.zeros(4))] * 8", "samples consist of several tensors"),
        ("Drawn()", "the data set returns different samples"),
    ],
)
def test_samples_that_can_not_be_kept_say_why(inputs: str, reason: str, tmp_path: Path) -> None:
    config = config_of(tmp_path, f"Data({inputs}, [0, 1] * 4)", storage="memory")
    with (tmp_path / "data.py").open("a") as file:
        file.write("class Drawn(list):\n    def __len__(self):\n        return 8\n")
        file.write("    def __getitem__(self, index):\n        return torch.rand(4)\n")
    with pytest.raises(ConfigError, match=reason):
        open_and_build(config)


def test_a_collate_fn_that_is_not_there_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(COLLATE)
    config = config_of(
        tmp_path, "Data(torch.zeros(8, 4), [0, 1] * 4)", loader={"collate_fn": f"{tmp_path}/mine.py:padd"}
    )
    with pytest.raises(ConfigError, match="did you mean 'pad'"):
        prepare(config, no_progress)


def test_several_inputs_need_a_model_of_the_users(tmp_path: Path) -> None:
    config = config_of(tmp_path, "Data([(torch.zeros(3), torch.zeros(4))] * 8, [0, 1] * 4)")
    with pytest.raises(ConfigError, match="takes one tensor, but the samples have several: 3, 4"):
        prepare(config, no_progress)


def test_targets_that_are_no_numbers_need_names_of_the_outputs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the data set an attribute `classes`"):
        batches_of(config_of(tmp_path, "Data(torch.zeros(8, 4), [{'a': 1}] * 8)"))


def test_a_sample_that_fails_while_labels_are_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TorchdeckError, match="sample 4: IndexError"):
        batches_of(config_of(tmp_path, "Data(torch.zeros(8, 4), [0, 1, 0, 1])"))


@pytest.mark.parametrize(
    ("name", "raw", "shown"),
    [
        ("signals", r"2×100 float32, -?\d.* to \d.*, mean -?\d", r"2×100 float32, "),
        ("volumes", r"1×8×12×12 float32, \d.* to \d.*, mean \d", r"1×8×12×12 float32, "),
        ("text", r"\d+ int64: \d+ \d+ \d+", r"\d+ int64: \d+"),
    ],
)
def test_what_is_no_image_is_shown_in_words(name: str, raw: str, shown: str, examples: Path) -> None:
    config = load_config(f"{name}.toml")
    seen, classes = look_at_samples(config, epoch=0, count=3), open_sources(config.data, 0).classes
    assert (len(seen.texts), seen.samples) == (3, [])
    for sample in seen.texts:
        assert sample.target in classes
        assert re.match(raw, sample.raw[0]) and re.match(shown, sample.shown[0])
    if name == "signals":
        assert [len(line) for line in seen.texts[0].raw[1:]] == [60, 60]
        assert seen.texts[0].raw != seen.texts[0].shown


def test_a_signal_is_a_line_of_bars() -> None:
    assert bars(torch.arange(8.0), 8) == "▁▂▃▄▅▆▇█"
    assert bars(torch.tensor([0.0, float("nan"), 1.0]), 60) == "▁·█"
    assert describe({"a": torch.tensor(3), "b": "text"}) == ["a: 3", "b: text"]
    assert target_words(torch.tensor([0.5, 1.0]), []) == "0.5 1"


BOXES = """
import torch
from torchvision import tv_tensors

class Boxes:
    # A bright rectangle in the dark, and where it is.

    classes = ["left", "top", "right", "bottom"]

    def __len__(self):
        return 12

    def __getitem__(self, index):
        image = torch.zeros(3, 20, 24, dtype=torch.uint8)
        left, top = 2 + index % 5, 3 + index % 7
        image[:, top : top + 6, left : left + 8] = 255
        box = tv_tensors.BoundingBoxes([[left, top, left + 8, top + 6]], format="XYXY", canvas_size=(20, 24))
        return image, {"box": box, "mask": tv_tensors.Mask(image[:1] > 0)}

    @staticmethod
    def collate_fn(samples):
        masks = torch.stack([target["mask"].float() for _, target in samples])
        boxes = torch.cat([torch.as_tensor(target["box"]).float() for _, target in samples])
        return {"images": torch.stack([image for image, _ in samples]), "masks": masks}, boxes

def boxes():
    return Boxes()
"""


@pytest.mark.parametrize(
    "transforms",
    [
        [{"name": "RandomHorizontalFlip"}, {"name": "RandomCrop", "size": [18, 20]}, {"name": "ClampBoundingBoxes"}],
        [{"name": "RandomVerticalFlip", "p": 1.0}, {"name": "Resize", "size": [40, 48], "antialias": False}],
    ],
)
def test_boxes_and_masks_move_with_their_image(transforms: list[Any], tmp_path: Path) -> None:
    (tmp_path / "boxes.py").write_text(BOXES)
    steps = [Component(**step) for step in transforms]
    config = run_config(dataset=f"{tmp_path}/boxes.py:boxes", validation=0.25, train_transforms=steps)
    for epoch in range(3):
        for inputs, boxes in batches_of(config, epoch):
            for image, mask, box in zip(inputs["images"], inputs["masks"], boxes.int().tolist(), strict=True):
                assert torch.equal(image[:1] > 0.5, mask > 0.5)
                rows, columns = torch.nonzero(mask[0] > 0.5, as_tuple=True)
                assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
