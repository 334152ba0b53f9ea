"""Another number of classes: of any model of torchvision's and timm's only the head changes, and can train alone."""

import pytest
from campaign import is_full_campaign

from engine.config import ModelConfig
from engine.models.architecture import build_architecture
from engine.models.catalog import list_models
from engine.models.timm_catalog import TIMM_PREFIX, timm_modules
from engine.models.tree import default_input_shape, inspect_model
from engine.models.weightless import build_weightless, untouched_randomness
from engine.models.weights import head_names, model_shapes

CLASSES = 7
TORCHVISION = [entry.name for entry in list_models() if entry.source == "torchvision"]
OF_EVERY_KIND = ["resnet18", "squeezenet1_1", "googlenet", "inception_v3", "vit_b_32", "vgg11", "swin_t"]
TIMM = [f"{TIMM_PREFIX}{name}" for name in timm_modules()]
SOME_OF_TIMM = [
    "levit_128s",
    "eva02_tiny_patch14_224",
    "repvit_m0_9",
    "test_vit",
    "test_nfnet",
    "xcit_nano_12_p16_224",
]
# Classifiers beside the head that only help to train the published weights: built for those alone.
AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def check_head(name: str) -> None:
    """Assert what the module's docstring says of one model."""
    shape = default_input_shape(ModelConfig(name=name))
    with untouched_randomness():
        published = model_shapes(build_weightless(lambda: build_architecture(ModelConfig(name=name), None, shape)))
    head = head_names(lambda classes: build_architecture(ModelConfig(name=name), classes, shape), CLASSES)
    assert head

    modules = sorted({tensor.rpartition(".")[0] or tensor for tensor in head})
    config = ModelConfig(name=name, freeze=["*", *(f"!{module}" for module in modules)])
    report = inspect_model(config, CLASSES, shape)
    assert report.error is None
    assert report.output_shapes[0] == [1, CLASSES]

    tensors = {
        f"{module.path}.{row.name}" if module.path else row.name: (tuple(row.shape or ()), row)
        for module in report.modules
        if module.alias_of is None
        for row in [*module.parameters, *module.own_buffers]
        if row.persistent
    }
    assert all(CLASSES in tensors[tensor][0] for tensor in head)
    changed = {tensor for tensor, (size, _) in tensors.items() if published.get(tensor) != size}
    assert changed <= head
    left = {
        tensor for tensor in published.keys() - tensors.keys() if not tensor.startswith(AUXILIARY.get(name, ("-",)))
    }
    assert not left

    trained = {tensor for tensor, (_, row) in tensors.items() if row.trainable}
    beside = trained - head
    assert all(tensor.rpartition(".")[0] in modules for tensor in beside), beside
    assert report.trainable == sum(_size(tensors[tensor][0]) for tensor in trained)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


@pytest.mark.campaign
@pytest.mark.parametrize("name", TORCHVISION if is_full_campaign() else OF_EVERY_KIND)
def test_of_a_torchvision_model_only_the_head_changes_and_trains_alone(name: str) -> None:
    check_head(name)


@pytest.mark.campaign
@pytest.mark.parametrize("name", TIMM if is_full_campaign() else [f"{TIMM_PREFIX}{name}" for name in SOME_OF_TIMM])
def test_of_a_timm_model_only_the_head_changes_and_trains_alone(name: str) -> None:
    pytest.importorskip("timm")
    check_head(name)
