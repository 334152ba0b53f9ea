"""Models built for a data set, and what is refused before a run begins."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.errors import ConfigError, UserCodeError
from torchdeck.engine.models.build import build_model, build_with_notes, check_model
from torchdeck.engine.user_code import forget_user_modules

MODELS = """
    import torch
    from torch import nn

    def sized(num_classes, input_shape, width=4):
        return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], width),
                             nn.Linear(width, num_classes))

    def fixed():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def lazy(num_classes):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(5), nn.LazyLinear(num_classes))

    def compiled(num_classes):
        return torch.compile(nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)))

    def number(num_classes):
        return num_classes

    def failing(num_classes):
        raise ValueError("no such width")

    class Branching(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.layer = nn.Linear(64, num_classes)

        def forward(self, x):
            x = self.layer(x.flatten(1))
            return x if x.sum().item() > 0 else -x

    class Mismatched(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.layer = nn.Linear(63, num_classes)

        def forward(self, x):
            return self.layer(x.flatten(1))

    class Pair(Branching):
        def forward(self, x):
            return x, self.layer(x.flatten(1))

    instance = nn.Linear(2, 2)
    """


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "models.py").write_text(textwrap.dedent(MODELS))
    yield tmp_path / "models.py"
    forget_user_modules()


def config(name: str, **arguments: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": name, **arguments})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet_18"}, "did you mean 'resnet18'"),
        (
            {"name": "mlp", "hiden": [3]},
            r"model mlp: unknown argument 'hiden'; did you mean 'hidden'\? it accepts \(\*, hidden",
        ),
        (
            {"name": "cnn", "num_classes": 3},
            "model.num_classes: not allowed for the built-in cnn: it is set from the data",
        ),
        ({"name": "resnet18", "num_classes": 3}, "model.num_classes: not allowed for torchvision's resnet18"),
        (
            {"name": "resnet18", "grops": 3},
            "model.grops: torchvision's resnet18 has no such argument; did you mean 'groups'",
        ),
        ({"name": "resnet18", "pretrained": True, "weights": "x.pt"}, "set only one"),
        ({"name": "mlp", "pretrained": True}, "the built-in model mlp has no published weights"),
        ({"name": "none.py:make"}, "no such file"),
    ],
)
def test_a_wrong_setting_is_found_without_building(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_model(ModelConfig.model_validate(settings))


@pytest.mark.parametrize(
    "name", ["mlp", "cnn", "resnet", "resnet18", "efficientnet_b0", "vit_b_16", "googlenet", "vgg11_bn"]
)
def test_fitting_settings_pass_the_check(name: str) -> None:
    check_model(ModelConfig(name=name))


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "googlenet", "squeezenet1_0", "shufflenet_v2_x0_5"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_torchvision_model_is_built_for_the_classes_and_channels_of_the_data(name: str, channels: int) -> None:
    model = build_model(ModelConfig(name=name), 7, (channels, 64, 64))
    assert model.training
    assert model(torch.zeros(2, channels, 64, 64)).shape == (2, 7)


def test_a_vision_transformer_is_built_for_the_image_size() -> None:
    model = build_model(ModelConfig(name="vit_b_16"), 7, (3, 32, 32))
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


def test_a_torchvision_argument_arrives() -> None:
    model = build_model(config("alexnet", dropout=0.25), 10, (3, 64, 64))
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        (
            {"name": "resnet18", "groups": 3},
            (3, 64, 64),
            "torchvision can't build it with groups = 3: BasicBlock only",
        ),
        ({"name": "resnet18"}, (4, 64, 64), "with 3 channels or 1; the data's have 4"),
        ({"name": "resnet18"}, (64,), "takes samples of channels × height × width; the data's are 64"),
        ({"name": "vit_b_16"}, (3, 32, 48), "takes square images; the data's are 32×48"),
        ({"name": "vit_b_16"}, (3, 40, 40), "indivisible by patch size"),
        ({"name": "alexnet"}, (3, 16, 16), r"can't process samples of 3×16×16: .* features.5 \(MaxPool2d\)"),
    ],
)
def test_data_that_a_model_can_not_take_are_refused(settings: dict[str, Any], shape: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(ModelConfig.model_validate(settings), 10, shape)


def test_the_weights_are_a_function_of_the_seed() -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build_model(ModelConfig(name="resnet18"), 10, (1, 64, 64)).state_dict()["conv1.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_checking_that_a_model_fits_does_not_change_its_weights() -> None:
    torch.manual_seed(1)
    built = build_model(ModelConfig(name="cnn"), 10, (1, 8, 8))
    torch.manual_seed(1)
    from torchdeck.engine.models.nets.builtin import cnn

    direct = cnn(10, (1, 8, 8))
    assert all(torch.equal(a, b) for a, b in zip(built.parameters(), direct.parameters(), strict=True))


def test_a_users_factory_is_given_what_it_asks_for(models: Path) -> None:
    model = build_model(config(f"{models}:sized", width=6), 3, (1, 8, 8))
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert model[1].out_features == 6
    assert build_model(config(f"{models}:fixed"), 10, (1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_users_class_that_branches_on_values_is_accepted(models: Path) -> None:
    assert type(build_model(config(f"{models}:Branching"), 3, (1, 8, 8))).__name__ == "Branching"


def test_lazy_modules_are_initialized_before_training(models: Path) -> None:
    model = build_model(config(f"{models}:lazy"), 3, (1, 8, 8))
    assert [tuple(parameter.shape) for parameter in model.parameters()] == [(5, 64), (5,), (3, 5), (3,)]
    assert model.training


def test_a_compiled_model_is_unwrapped(models: Path) -> None:
    model = build_model(config(f"{models}:compiled"), 3, (1, 8, 8))
    assert list(model.state_dict()) == ["1.weight", "1.bias"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("number", UserCodeError, r"returned int; expected a torch.nn.Module"),
        ("failing", UserCodeError, r"(?s)ValueError: no such width.*models.py.*in failing"),
        ("instance", ConfigError, "is an instance of a model"),
        ("fixed", ConfigError, r"returns \[1, 10\] for one sample; training needs one tensor of \[1, 3\]"),
        ("Pair", ConfigError, r"returns \[1, 1, 8, 8\], \[1, 3\] for one sample"),
        (
            "Mismatched",
            ConfigError,
            r"layer \(Linear\), given \[1, 64\]: RuntimeError: .*mat1 and mat2.*\(models.py:\d+\)",
        ),
        ("szied", ConfigError, "did you mean 'sized'"),
    ],
)
def test_a_users_model_that_does_not_fit_is_refused(
    models: Path, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_with_notes(config(f"{models}:{name}"), 3, (1, 8, 8))


def test_arguments_of_a_users_factory_are_checked(models: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown argument 'widht'; did you mean 'width'\? it accepts"):
        check_model(config(f"{models}:sized", widht=3))
