"""Starting from trained weights, of a file or published."""

import os
import pickle
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.engine.models.build import BuiltModel, build_with_notes
from torchdeck.engine.models.libraries.torchvision_models import published_weights
from torchdeck.engine.models.weights import head_names

SHAPE = (1, 8, 8)


def trained(classes: int = 10) -> nn.Module:
    """A cnn whose tensors are all told apart from fresh ones."""
    model = build_with_notes(ModelConfig(name="cnn"), classes, SHAPE).model
    for tensor in model.state_dict().values():
        tensor.add_(3)
    return model


def start_from(path: Path, classes: int = 10, name: str = "cnn") -> BuiltModel:
    return build_with_notes(ModelConfig(name=name, weights=str(path)), classes, SHAPE)


def assert_same(model: nn.Module, other: nn.Module, but: tuple[str, ...] = ()) -> None:
    ours, others = model.state_dict(), other.state_dict()
    for name in ours:
        if name not in but:
            assert torch.equal(ours[name], others[name]), name


WRAPPINGS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "a state_dict": lambda state: state,
    "the tutorial's checkpoint": lambda state: {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": {}},
    "timm's checkpoint": lambda state: {"state_dict": state, "epoch": 3},
    "of torch.compile": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "of DataParallel": lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
    "of Lightning": lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}},
    "of all of them": lambda state: {f"module.model._orig_mod.{name}": tensor for name, tensor in state.items()},
    "with a loss beside it": lambda state: (
        {"loss.weight": torch.zeros(2)} | {f"model.{k}": v for k, v in state.items()}
    ),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_under_the_names_that_programs_save(wrapping: str, tmp_path: Path) -> None:
    model = trained()
    torch.save(WRAPPINGS[wrapping](model.state_dict()), tmp_path / "w.pt")
    assert_same(start_from(tmp_path / "w.pt").model, model)


def test_a_head_for_other_classes_stays_fresh_and_is_told(tmp_path: Path) -> None:
    model = trained(classes=4)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    built = start_from(tmp_path / "w.pt", classes=10)
    assert_same(built.model, model, but=("classifier.weight", "classifier.bias"))
    assert built.model.classifier.weight.shape == (10, 128)
    assert "classifier.weight (4×128 in the file, 10×128 here)" in built.notes[0]


def test_half_precision_weights_become_single(tmp_path: Path) -> None:
    model = trained()
    torch.save(model.half().state_dict(), tmp_path / "w.pt")
    built = start_from(tmp_path / "w.pt")
    assert built.model.classifier.weight.dtype == torch.float32
    assert_same(built.model, model.float())


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path: Path) -> None:
    torch.save(trained().state_dict(), tmp_path / "w.pt")
    with pytest.raises(CheckpointError) as caught:
        start_from(tmp_path / "w.pt", name="resnet")
    text = str(caught.value)
    assert "missing in the file: conv1.weight, bn1.weight" in text
    assert "only in the file: features.0.0.weight" in text


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    state = trained().state_dict()
    state["features.0.0.weight"] = torch.zeros(32, 3, 3, 3)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="32×3×3×3 in the file, 32×1×3×3 here"):
        start_from(tmp_path / "w.pt")


def test_code_in_a_weights_file_never_runs(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "attacked"),)

    for name, save in {"zip": torch.save, "raw": lambda value, path: path.write_bytes(pickle.dumps(value))}.items():
        save({"model": Attack()}, tmp_path / name)
        with pytest.raises(CheckpointError):
            start_from(tmp_path / name)
    assert not (tmp_path / "attacked").exists()


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file: .*none\.pt"):
        start_from(tmp_path / "none.pt")
    torch.save(trained().state_dict(), tmp_path / "w.pt")
    data = bytearray((tmp_path / "w.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        start_from(tmp_path / "w.pt")


def test_a_file_without_tensors_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"contains no model tensors; has epoch, lr"):
        start_from(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("resnet18", {"fc.weight", "fc.bias"}),
        ("vit_b_16", {"heads.head.weight", "heads.head.bias"}),
        ("squeezenet1_0", {"classifier.1.weight", "classifier.1.bias"}),
        ("vgg11", {"classifier.6.weight", "classifier.6.bias"}),
    ],
)
def test_the_head_is_what_follows_from_the_number_of_classes(name: str, head: set[str]) -> None:
    get_model = torchvision.models.get_model
    assert head_names(lambda classes: get_model(name, num_classes=classes), 10) == head


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty download cache of torch, and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))

    def no_network(*args: Any, **keywords: Any) -> None:
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def publish(name: str, cache: Path, **arguments: Any) -> nn.Module:
    """Put weights where a download would have put them, as 1000 classes of ImageNet."""
    model = torchvision.models.get_model(name, **arguments)
    size = arguments.get("image_size", 224)
    torch.save(model.state_dict(), cache / published_weights(name, size).url.rpartition("/")[2])
    return model


def pretrained(name: str, shape: tuple[int, int, int], classes: int = 5, **arguments: Any) -> BuiltModel:
    config = ModelConfig.model_validate({"name": name, "pretrained": True, **arguments})
    return build_with_notes(config, classes, shape)


def test_published_weights_are_loaded_all_but_the_head(cache: Path) -> None:
    published = publish("resnet18", cache)
    built = pretrained("resnet18", (3, 64, 64))
    assert_same(built.model, published, but=("fc.weight", "fc.bias"))
    assert built.model.fc.out_features == 5


def test_gray_images_go_through_published_weights_as_three_equal_channels(cache: Path) -> None:
    published = publish("resnet18", cache)
    gray = pretrained("resnet18", (1, 64, 64)).model
    published.fc = gray.fc
    images = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(
        gray.eval()(images), published.eval()(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5
    )


def test_a_vision_transformer_takes_published_weights_at_another_image_size(cache: Path) -> None:
    publish("vit_b_32", cache)
    built = pretrained("vit_b_32", (3, 96, 96))
    assert built.model(torch.zeros(1, 3, 96, 96)).shape == (1, 5)
    assert "different shape: heads.head.weight" in built.notes[0]


def test_auxiliary_classifiers_of_published_weights_are_left_out(cache: Path) -> None:
    published = publish("googlenet", cache, init_weights=False)
    built = pretrained("googlenet", (3, 64, 64))
    assert torch.equal(built.model.conv1.conv.weight, published.conv1.conv.weight)
    assert built.model.transform_input
    assert isinstance(built.model.train()(torch.zeros(2, 3, 64, 64)), torch.Tensor)


def test_the_old_names_in_the_weights_of_densenet_are_understood(cache: Path) -> None:
    published = publish("densenet121", cache)
    file = next(cache.iterdir())
    state = torch.load(file, weights_only=True)
    old = {}
    for name, tensor in state.items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in name:
                name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        old[name] = tensor
    assert set(old) != set(state)
    torch.save(old, file)
    assert_same(pretrained("densenet121", (3, 64, 64)).model, published, but=("classifier.weight", "classifier.bias"))


def test_published_weights_that_can_not_be_had_say_which_file_goes_where(cache: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        pretrained("resnet18", (3, 64, 64))
    text = str(caught.value)
    assert f"resnet18-f37072fd.pth is not in {cache}" in text
    assert "Download https://download.pytorch.org/models/resnet18-f37072fd.pth" in text
    assert f"copy it into {cache}" in text


def test_a_damaged_file_in_the_cache_is_named(cache: Path) -> None:
    (cache / "resnet18-f37072fd.pth").write_bytes(b"half a download")
    with pytest.raises(CheckpointError, match=r"resnet18-f37072fd\.pth"):
        pretrained("resnet18", (3, 64, 64))


def test_arguments_that_make_another_network_are_refused_with_published_weights(cache: Path) -> None:
    publish("resnet50", cache)
    with pytest.raises(ConfigError, match=r"resnet50 does not match ResNet50_Weights.IMAGENET1K_V2"):
        pretrained("resnet50", (3, 64, 64), width_per_group=32)


def test_the_published_weights_of_a_transformer_are_those_for_the_image_size() -> None:
    assert published_weights("vit_b_16", 224).name == "IMAGENET1K_V1"
    assert published_weights("vit_b_16", 384).name == "IMAGENET1K_SWAG_E2E_V1"
    assert published_weights("resnet50", 384).name == "IMAGENET1K_V2"
