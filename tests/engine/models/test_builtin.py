"""The networks that come with torchdeck."""

import pytest
import torch
from torch import nn

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.models.module_tree import inspect_model
from torchdeck.engine.models.nets.airbench import airbench
from torchdeck.engine.models.nets.builtin import BUILTIN_MODELS, ResidualBlock, cnn, mlp, resnet
from torchdeck.engine.models.nets.signal_nets import cnn1d, cnn3d
from torchdeck.engine.models.nets.text_nets import embedding_bag


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 37, 50), (4, 64, 64)])
def test_a_builtin_model_maps_images_to_logits(name: str, shape: tuple[int, int, int]) -> None:
    model = BUILTIN_MODELS[name](7, shape)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("cnn1d", (1, 4)), ("cnn1d", (6, 250)), ("cnn3d", (1, 4, 4, 4)), ("cnn3d", (3, 8, 20, 24))],
)
def test_signals_and_volumes_are_mapped_to_logits(name: str, shape: tuple[int, ...]) -> None:
    assert BUILTIN_MODELS[name](7, shape)(torch.zeros(2, *shape)).shape == (2, 7)


def test_a_text_is_the_average_of_its_words_however_they_are_given() -> None:
    model = embedding_bag(3, (4,), vocabulary=9, dimensions=5).eval()
    texts = torch.tensor([[1, 2, 3, 0], [4, 0, 0, 0]])
    logits = model(texts)
    assert logits.shape == (2, 3)
    assert torch.allclose(model(torch.tensor([1, 2, 3, 4]), torch.tensor([0, 3])), logits)
    assert torch.allclose(model(torch.tensor([[1, 2, 3, 8], [4, 7, 7, 7]]), mask=texts != 0), logits)
    vectors = model.embedding.weight
    assert torch.allclose(model.classifier(vectors[1:4].mean(0)), logits[0], atol=1e-6)


@pytest.mark.parametrize("name", BUILTIN_MODELS)
def test_every_builtin_model_has_a_tree_without_data(name: str) -> None:
    report = inspect_model(ModelConfig(name=name))
    assert (report.error, report.output_shapes) == (None, [[1, 10]])
    assert report.flops


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
        (lambda: cnn(10, (1, 8, 8), channels=[8] * 5), "5 halvings are too many for a sample of 8×8; at most 4"),
        (lambda: cnn(10, (1, 8, 8), channels=[]), "model.channels: must not be empty"),
        (lambda: cnn1d(10, (3, 32, 32)), "takes samples of channels × length; the data's are 3×32×32"),
        (lambda: cnn1d(10, (1, 64), kernel=4), "model.kernel = 4: must be odd"),
        (lambda: cnn3d(10, (1, 2, 8, 8)), "3 halvings are too many for a sample of 2×8×8; at most 2"),
        (lambda: embedding_bag(10, (8,), vocabulary=0), "model.vocabulary = 0: must be an integer above 0"),
        (lambda: airbench(10, (1, 8, 8)), "at least 9 high and wide; the data.s are 1×8×8"),
        (lambda: airbench(10, (3, 32, 32), channels=[8]), "must be three widths"),
        (lambda: resnet(10, (3, 32, 32), depth=18), "model.depth = 18: must be 6n \\+ 2"),
        (lambda: resnet(10, (3, 32, 32), width=True), "must be a list of integers above 0"),
    ],
)
def test_an_argument_out_of_bounds_is_named(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_airbenchs_first_layer_whitens_the_patches_that_it_was_begun_from() -> None:
    torch.manual_seed(0)
    # Neighboring pixels and channels that go together, as in photographs.
    images = nn.functional.avg_pool2d(torch.randn(64, 3, 36, 36).cumsum(1), 5, stride=1)
    model = airbench(10, (3, 32, 32))
    model.init_from_data(images)
    filtered = model.whiten(images)[:, :12].transpose(0, 1).flatten(1)
    covariance = filtered @ filtered.T / filtered.shape[1]
    assert torch.allclose(covariance - covariance.diag().diag(), torch.zeros(12, 12), atol=1e-2)
    assert (covariance.diag() > 0.4).all() and (covariance.diag() < 1.01).all()
    assert torch.allclose(model.whiten.weight[:12], -model.whiten.weight[12:])
    assert sorted(name for name, weight in model.named_parameters() if not weight.requires_grad) == [
        *(f"groups.{group}.{norm}.weight" for group in range(3) for norm in (2, 5)),
        "whiten.weight",
    ]
    # The published network has 1.97 M parameters in its convolutions and head.
    assert sum(weight.numel() for weight in model.parameters() if weight.ndim > 1) == pytest.approx(1.97e6, rel=0.01)
