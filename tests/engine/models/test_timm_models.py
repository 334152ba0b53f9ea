"""timm's models: listed, built for the data, started from published weights."""

from pathlib import Path

import pytest
import torch
from campaign import is_full_campaign

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.errors import CheckpointError, ConfigError
from torchdeck.engine.models.build import build_with_notes, check_model
from torchdeck.engine.models.libraries.timm_catalog import timm_modules, timm_sizes
from torchdeck.engine.models.module_tree import inspect_model
from torchdeck.engine.models.timm_sizes import count

timm = pytest.importorskip("timm")


def test_the_names_read_from_timms_text_are_those_it_registers() -> None:
    assert set(timm_modules()) == set(timm.list_models())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("timm/resnet10t", (1, 40, 40)),
        ("timm/mobilenetv3_small_050", (4, 32, 32)),
        ("timm/vit_tiny_patch16_224", (3, 64, 64)),
        ("timm/test_convnext", (3, 32, 32)),
    ],
)
def test_a_model_is_built_for_the_channels_the_size_and_the_classes_of_the_data(
    name: str, shape: tuple[int, int, int]
) -> None:
    model = build_with_notes(ModelConfig(name=name), 7, shape).model.eval()
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_the_head_is_replaced_in_a_model_that_timm_publishes_without_one() -> None:
    report = inspect_model(ModelConfig(name="timm/eva02_tiny_patch14_224"), 5)
    assert report.output_shapes == [[1, 5]]


def test_without_data_the_input_is_that_of_the_published_weights() -> None:
    report = inspect_model(ModelConfig(name="timm/test_efficientnet"))
    assert (report.input_shape, report.error) == ([3, 160, 160], None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "timm/resnet5"}, "did you mean 'resnet50'"),
        ({"name": "timm/resnet50.a1"}, "has no weights 'a1' for resnet50.*a1_in1k"),
        ({"name": "convnext_atto"}, "did you mean 'timm/convnext_atto'"),
        ({"name": "timm/resnet18", "num_classes": 3}, "not allowed for timm/resnet18: it is set from the data"),
    ],
)
def test_a_wrong_setting_is_found_without_building(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_model(ModelConfig(**settings))  # type: ignore[arg-type]


def test_an_unknown_argument_is_refused_with_timms_words() -> None:
    with pytest.raises(ConfigError, match=r"timm can't build it with.*wobble"):
        build_with_notes(ModelConfig(name="timm/test_convnext", wobble=1), 5, (3, 32, 32))  # type: ignore[call-arg]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_published_weights_are_read_from_a_file_put_into_the_cache(cache: Path) -> None:
    published = timm.create_model("test_convnext", num_classes=1000)
    torch.save(published.state_dict(), cache / "test_convnext.r160_in1k.pth")
    built = build_with_notes(ModelConfig(name="timm/test_convnext", pretrained=True), 5, (1, 64, 64))
    ours, theirs = built.model.state_dict(), published.state_dict()
    different = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert different == {"stem.0.weight", "head.fc.weight", "head.fc.bias"}
    assert torch.allclose(ours["stem.0.weight"], theirs["stem.0.weight"].sum(1, keepdim=True))
    assert "weights from test_convnext.r160_in1k.pth, with a new head" in built.notes[0]
    assert "trained on 3×160×160, but the data's samples are 1×64×64" in built.notes[0]


def test_a_damaged_file_in_the_cache_is_named(cache: Path) -> None:
    (cache / "test_convnext.r160_in1k.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(CheckpointError, match=r"test_convnext\.r160_in1k\.safetensors"):
        build_with_notes(ModelConfig(name="timm/test_convnext", pretrained=True), 5, (3, 64, 64))


def test_weights_that_can_not_be_had_say_which_file_goes_where(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", _no_network)
    with pytest.raises(ConfigError) as caught:
        build_with_notes(ModelConfig(name="timm/test_convnext", pretrained=True), 5, (3, 64, 64))
    text = str(caught.value)
    assert "model.safetensors of timm/test_convnext.r160_in1k (Hugging Face)" in text
    assert str(cache / "test_convnext.r160_in1k.safetensors") in text


def _no_network(*arguments: object, **keywords: object) -> None:
    raise OSError("Name or service not known")


_SHORT = ("vgg11", "swinv2_cr_tiny_224", "vitamin_small_224", "coat_lite_medium", "levit_128", "test_vit")
IN_FULL = is_full_campaign()


@pytest.mark.campaign
@pytest.mark.parametrize("name", list(timm_modules()) if IN_FULL else _SHORT)
def test_the_tree_is_complete_and_of_the_size_in_the_table(name: str) -> None:
    counted = count(name)
    assert not counted.problem
    expected = timm_sizes()[name]
    if expected.gflops is not None:
        # The table has six digits.
        assert counted.size.gflops == pytest.approx(expected.gflops, rel=1e-5)
        expected = expected._replace(gflops=counted.size.gflops)
    assert counted.size == expected
