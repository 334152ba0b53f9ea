"""Another number of classes: of any model of torchvision's and timm's only the head changes, and can train alone."""

import pytest
from campaign import is_full_campaign
from torch import nn

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.inputs import one_sample
from torchdeck.engine.models.architecture import build_architecture, build_unloaded
from torchdeck.engine.models.catalog import list_models
from torchdeck.engine.models.libraries.timm_catalog import TIMM_PREFIX, timm_modules
from torchdeck.engine.models.module_tree import default_input_shape, inspect_factory
from torchdeck.engine.models.tree.meta_build import build_weightless
from torchdeck.engine.models.weights import head_names, model_shapes
from torchdeck.engine.randomness import generators_kept

CLASSES = 7
TORCHVISION = [entry.name for entry in list_models() if entry.source == "torchvision"]
OF_EVERY_KIND = ["resnet18", "squeezenet1_1", "googlenet", "inception_v3", "vit_b_32", "vgg11", "swin_t"]
# The image encoders of language models have no head, whatever the number of classes: training refuses them.
TIMM = [f"{TIMM_PREFIX}{name}" for name in timm_modules() if not name.endswith("_enc")]
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
    with generators_kept():
        published = model_shapes(build_weightless(lambda: build_architecture(ModelConfig(name=name), None, shape)))
    head = head_names(lambda classes: build_architecture(ModelConfig(name=name), classes, shape), CLASSES)
    assert head

    modules = sorted({tensor.rpartition(".")[0] or tensor for tensor in head})
    config = ModelConfig(name=name, freeze=["*", *(f"!{module}" for module in modules)])
    built = []

    def make() -> nn.Module:
        built.append(build_unloaded(config, CLASSES, shape)[0])
        return built[-1]

    report = inspect_factory(make, lambda: one_sample(shape), allow_real=False)
    assert report.error is None
    assert report.output_shapes[0] == [1, CLASSES]

    shapes = model_shapes(built[-1])
    assert all(CLASSES in shapes[tensor] for tensor in head)
    assert {tensor for tensor, size in shapes.items() if published.get(tensor) != size} <= head
    left_out = published.keys() - shapes.keys()
    assert all(tensor.startswith(AUXILIARY.get(name, ())) for tensor in left_out), left_out

    trained = {tensor: parameter for tensor, parameter in built[-1].named_parameters() if parameter.requires_grad}
    assert all(tensor in head or tensor.rpartition(".")[0] in modules for tensor in trained), trained.keys() - head
    assert report.trainable == sum(parameter.numel() for parameter in trained.values())


@pytest.mark.campaign
@pytest.mark.parametrize("name", TORCHVISION if is_full_campaign() else OF_EVERY_KIND)
def test_of_a_torchvision_model_only_the_head_changes_and_trains_alone(name: str) -> None:
    check_head(name)


@pytest.mark.campaign
@pytest.mark.parametrize("name", TIMM if is_full_campaign() else [f"{TIMM_PREFIX}{name}" for name in SOME_OF_TIMM])
def test_of_a_timm_model_only_the_head_changes_and_trains_alone(name: str) -> None:
    pytest.importorskip("timm")
    check_head(name)
