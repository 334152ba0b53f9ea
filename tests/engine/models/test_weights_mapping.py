"""Which tensor of a file goes where in a model."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from torchdeck.engine.build import check_start
from torchdeck.engine.config import ModelConfig, RunConfig
from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.models.build import build_with_notes
from torchdeck.engine.models.weights_mapping import ShapeDifference, map_weights, same_names
from torchdeck.engine.models.weights_preview import preview_config_weights

MODEL = {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "fc.weight": (10, 8), "fc.bias": (10,)}


def below(prefix: str, **changes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": shape for name, shape in {**MODEL, **changes}.items()}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "_orig_mod.", "backbone.", "state_dict.model.", "model_state_dict.module.student.net."],
)
def test_whatever_stands_before_all_names_is_stripped(prefix: str) -> None:
    mapping = map_weights(below(prefix), MODEL)
    assert mapping.matched == {name: f"{prefix}{name}" for name in MODEL}
    assert not mapping.describe()


def test_a_part_that_was_compiled_alone_is_found() -> None:
    file = {name.replace("conv.", "conv._orig_mod."): shape for name, shape in MODEL.items()}
    assert map_weights(file, MODEL).matched["conv.weight"] == "conv._orig_mod.weight"


def test_what_does_not_match_is_told_apart() -> None:
    file = below("net.", **{"fc.weight": (5, 8)}) | {"net.extra": (1,), "head.weight": (2, 2)}
    del file["net.fc.bias"]
    mapping = map_weights(file, MODEL)
    assert mapping.missing == ["fc.bias"]
    assert mapping.different == [ShapeDifference("fc.weight", (5, 8), (10, 8))]
    assert set(mapping.unexpected) == {"net.extra", "head.weight"}
    assert mapping.describe() == (
        "missing in the file: fc.bias; different shape: fc.weight (5×8 in the file, 10×8 here); "
        "only in the file: net.extra, head.weight"
    )


def test_trained_weights_come_before_averaged_ones_and_both_are_offered() -> None:
    file = below("state_dict_ema.") | below("state_dict.") | {"optimizer.state.0.exp_avg": (8,)}
    mapping = map_weights(file, MODEL)
    assert (mapping.prefix, mapping.alternatives) == ("state_dict.", ["state_dict_ema."])
    assert not mapping.unexpected
    assert map_weights(file, MODEL, "state_dict_ema").prefix == "state_dict_ema."
    with pytest.raises(CheckpointError, match="has no entry 'ema' with tensors; its entries: state_dict, state"):
        map_weights(file, MODEL, "ema")


def test_a_prefix_under_which_shapes_agree_is_preferred() -> None:
    file = below("teacher.", **{"conv.weight": (4, 3, 3, 3)}) | below("student.")
    assert map_weights(file, MODEL).prefix == "student."


def test_batch_counts_may_be_missing() -> None:
    model = MODEL | {"bn.num_batches_tracked": ()}
    assert not map_weights(MODEL, model).missing


def test_equal_names_alone_count_where_nothing_is_stripped() -> None:
    assert same_names(below("module."), MODEL).missing == list(MODEL)


class HyperParameters:
    """What only code of the program that saved it could rebuild."""

    width = 3


def network() -> nn.Module:
    model = build_with_notes(ModelConfig(name="cnn", channels=[4, 8]), 10, (1, 8, 8)).model  # type: ignore[call-arg]
    for tensor in model.state_dict().values():
        tensor.add_(3)
    return model


def _lightning(state: dict[str, torch.Tensor], path: Path) -> None:
    torch.save(
        {
            "epoch": 3,
            "pytorch-lightning_version": "2.6.6",
            "state_dict": {f"model.{name}": tensor for name, tensor in state.items()},
            "hyper_parameters": HyperParameters(),
            "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": torch.zeros(())}},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4, 1, 3, 3)}}}],
        },
        path,
    )


def _timm(state: dict[str, torch.Tensor], path: Path) -> None:
    averaged = {name: tensor + 1 for name, tensor in state.items()}
    torch.save(
        {"arch": "cnn", "args": argparse.Namespace(lr=1), "state_dict": state, "state_dict_ema": averaged}, path
    )


FORMATS: dict[str, Callable[[dict[str, torch.Tensor], Path], Any]] = {
    "bare.pth": torch.save,
    "legacy.pth": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "tutorial.pt": lambda state, path: torch.save({"epoch": 1, "model_state_dict": state}, path),
    "lightning.ckpt": _lightning,
    "timm.pth.tar": _timm,
    "weights.safetensors": save_file,
}


@pytest.mark.parametrize("file", FORMATS)
def test_the_weights_of_every_known_format_are_loaded(file: str, tmp_path: Path) -> None:
    saved = network().state_dict()
    FORMATS[file](saved, tmp_path / file)
    config = ModelConfig(name="cnn", weights=str(tmp_path / file), channels=[4, 8])  # type: ignore[call-arg]
    preview = preview_config_weights(config, 10, (1, 8, 8))
    assert (preview.problem, len(preview.mapping.matched)) == ("", len(saved))
    loaded = build_with_notes(config, 10, (1, 8, 8)).model.state_dict()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)


def test_averaged_weights_are_loaded_on_request(tmp_path: Path) -> None:
    saved = network().state_dict()
    _timm(saved, tmp_path / "timm.pth.tar")
    built = build_with_notes(
        ModelConfig(
            name="cnn",
            weights=str(tmp_path / "timm.pth.tar"),
            weights_entry="state_dict_ema",
            channels=[4, 8],  # type: ignore[call-arg]
        ),
        10,
        (1, 8, 8),
    )
    assert torch.equal(built.model.state_dict()["classifier.bias"], saved["classifier.bias"] + 1)


def test_a_transposed_part_of_a_larger_tensor_is_read_as_it_was(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    torch.save({"weight": whole[:, 1:4].t(), "bias": whole[0, ::2]}, tmp_path / "views.pt")
    (tmp_path / "linear.py").write_text(
        "from torch import nn\n\ndef linear(num_classes):\n    return nn.Linear(4, 3)\n", encoding="utf-8"
    )
    config = ModelConfig(name=f"{tmp_path}/linear.py:linear", weights=str(tmp_path / "views.pt"))
    loaded = build_with_notes(config, 3, (4,)).model.state_dict()
    assert torch.equal(loaded["weight"], whole[:, 1:4].t())
    assert torch.equal(loaded["bias"], whole[0, ::2])


def test_a_preview_says_what_of_the_head_stays_fresh(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pt")
    config = ModelConfig(name="cnn", weights=str(tmp_path / "w.pt"), channels=[4, 8])  # type: ignore[call-arg]
    preview = preview_config_weights(config, 3, (1, 8, 8))
    assert [entry.name for entry in preview.mapping.different] == preview.head[::-1]
    assert not preview.problem


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("content", [lambda net: net, lambda net: {"model": net, "epoch": 3}], ids=["whole", "entry"])
def test_of_a_pickled_model_the_tensors_are_loaded(
    tmp_path: Path, content: Callable[[nn.Module], object], is_zip: bool
) -> None:
    torch.manual_seed(1)
    saved = network()
    torch.save(content(saved), tmp_path / "whole.pt", _use_new_zipfile_serialization=is_zip)
    config = ModelConfig(name="cnn", weights=str(tmp_path / "whole.pt"), channels=[4, 8])  # type: ignore[call-arg]
    loaded = build_with_notes(config, 10, (1, 8, 8)).model.state_dict()
    assert loaded.keys() == saved.state_dict().keys()
    assert all(torch.equal(loaded[name], value) for name, value in saved.state_dict().items())


def test_a_start_without_its_file_of_weights_is_refused_before_the_data_are_opened(tmp_path: Path) -> None:
    config = RunConfig(model=ModelConfig(name="cnn", weights=str(tmp_path / "gone.pt")))
    with pytest.raises(CheckpointError, match=r"model\.weights: no such file: .*gone\.pt"):
        check_start(config)
