"""The networks that come with torchdeck."""

import pytest
import torch
from torch import nn

from engine.errors import ConfigError
from engine.models.builtin import BUILTIN_MODELS, ResidualBlock, cnn, mlp, resnet


@pytest.mark.parametrize("name", BUILTIN_MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 37, 50), (4, 64, 64)])
def test_a_builtin_model_maps_images_to_logits(name: str, shape: tuple[int, int, int]) -> None:
    model = BUILTIN_MODELS[name](7, shape)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_the_default_mlp_is_784_512_512_10() -> None:
    layers = [layer for layer in mlp(10, (1, 28, 28)) if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(784, 512), (512, 512), (512, 10)]


def test_an_mlp_without_hidden_layers_is_linear() -> None:
    assert sum(parameter.numel() for parameter in mlp(3, (5,), hidden=[]).parameters()) == 18


def test_an_mlp_has_the_dropout_and_activation_asked_for() -> None:
    model = mlp(3, (5,), hidden=[4], dropout=0.5, activation="gelu")
    assert [type(layer) for layer in model] == [nn.Flatten, nn.Linear, nn.GELU, nn.Dropout, nn.Linear]


@pytest.mark.parametrize(("depth", "params"), [(20, 0.27e6), (32, 0.46e6), (44, 0.66e6), (56, 0.85e6), (110, 1.7e6)])
def test_a_residual_network_of_width_16_has_the_size_of_the_paper(depth: int, params: float) -> None:
    model = resnet(10, (3, 32, 32), depth=depth, width=16)
    # Table 6 of He et al. 2015, to the two digits it gives; the paper's shortcuts have no weights, ours few.
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(params, rel=0.03)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(convolutions) + 1 == depth


def test_a_residual_block_starts_as_the_identity() -> None:
    block = next(m for m in resnet(10, (3, 32, 32)).layer1.modules() if isinstance(m, ResidualBlock))
    features = torch.rand(2, 32, 8, 8)
    assert torch.equal(block(features), features)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp(10, (4,), hidden=[0]), r"model.hidden = \[0\]: must be a list of integers above 0"),
        (lambda: mlp(10, (4,), hidden=5), "model.hidden = 5: must be a list"),
        (lambda: mlp(10, (4,), dropout=1.0), "model.dropout = 1.0: must be at least 0 and below 1"),
        (lambda: mlp(10, (4,), activation="rellu"), "did you mean 'relu'"),
        (lambda: cnn(10, (784,)), "takes samples of channels × height × width; the data's are 784"),
        (lambda: cnn(10, (1, 8, 8), channels=[8] * 5), "5 stages halve a sample of 8×8 to nothing; at most 4"),
        (lambda: cnn(10, (1, 8, 8), channels=[]), "model.channels: must not be empty"),
        (lambda: resnet(10, (3, 32, 32), depth=18), "model.depth = 18: must be 6n \\+ 2"),
        (lambda: resnet(10, (3, 32, 32), width=True), "must be a list of integers above 0"),
    ],
)
def test_an_argument_out_of_bounds_is_named(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
