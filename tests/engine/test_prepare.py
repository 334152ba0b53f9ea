from pathlib import Path

import pytest
import torch

from torchdeck.engine.build import Prepared, check, prepare
from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config, parse_config
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.errors import TorchdeckError, UserCodeError


def config(*overrides: str) -> RunConfig:
    return parse_config('[data]\nvalidation = 0.2\n[training]\ndevice = "cpu"\n', "test", overrides)


def prepared(*overrides: str) -> Prepared:
    return prepare(config(*overrides), lambda *_: None)


def weights(run: Prepared) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


def test_everything_is_opened_and_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words: list[str] = []
    run = prepare(config("model.name=cnn"), lambda message, done, total: words.append(message))
    assert run.input_shape == (1, 8, 8)
    assert len(run.sources.classes) == 10
    assert run.model(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    assert run.model.training
    assert words == ["checking the config", "opening digits", "building cnn"]
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_first_weights_are_a_function_of_the_seed_alone() -> None:
    first = weights(prepared("seed=3"))
    torch.manual_seed(99)
    assert torch.equal(weights(prepared("seed=3", "data.validation=0.4")), first)
    assert not torch.equal(weights(prepared("seed=4")), first)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.momentun=0.9", "did you mean 'momentum'"),
        ("optimizer.momentum=-1.0", "Invalid momentum"),
        ("schedule={name='StepLR'}", "'step_size' is missing"),
        ("data.train_transforms=[{name='RandomCorp'}]", "did you mean 'RandomCrop'"),
        ("data.eval_transforms=[{name='Normalice'}]", "data.eval_transforms"),
        ("model={name='cnn',chanels=[4]}", "did you mean 'channels'"),
        ("training.device=cuda:63", "cuda:63"),
    ],
)
def test_a_config_is_checked_against_the_libraries_without_opening_data(override: str, message: str) -> None:
    with pytest.raises(TorchdeckError) as raised:
        check(config(override, "data.dataset=nowhere.py:missing"))
    assert message in str(raised.value)


@pytest.mark.parametrize("name", [preset.name for preset in list_presets()])
def test_every_preset_is_right_up_to_its_data(name: str) -> None:
    preset = load_config(name, ["training.device=cpu", "training.precision=auto"])
    check(preset)


def test_notes_of_the_model_come_along() -> None:
    assert any("clasifier" in note for note in prepared("model={name='cnn',freeze=['clasifier']}").notes)
    assert prepared().notes == []


def test_an_error_in_the_users_model_shows_the_users_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def make(num_classes):\n    return widht\n", encoding="utf-8")
    with pytest.raises(UserCodeError) as raised:
        prepared(f"model.name={file}:make")
    assert "widht" in str(raised.value)
    assert "mine.py" in str(raised.value)
    assert "line 2" in str(raised.value) or "mine.py:2" in str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loader.worker_init=missing.py:seed", "missing.py"),
        ("schedule={name='OneCycleLR', total_steps=-3}", "total_steps"),
        ('model.freeze=["*"]', "nothing is left to train"),
    ],
)
def test_what_training_would_refuse_is_refused_before_anything_is_written(override: str, message: str) -> None:
    with pytest.raises(TorchdeckError, match=message):
        prepared(override)


def test_a_model_that_begins_from_the_data_gets_training_samples_and_a_resumed_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n"
        "class Model(nn.Linear):\n"
        "    def __init__(self, num_classes, input_shape):\n        super().__init__(64, num_classes)\n"
        "    def init_from_data(self, images):\n        self.bias.fill_(float(len(images)))\n"
        "    def forward(self, x):\n        return super().forward(x.flatten(1))\n",
        encoding="utf-8",
    )
    own = config(f"model.name={tmp_path}/own.py:Model")
    run = prepare(own, lambda *_: None)
    samples = len(run.sources.train)
    assert set(run.model.bias.tolist()) == {float(samples)}
    assert any(f"initialized from {samples:,} training samples" in note for note in run.notes)
    resumed = prepare(own, lambda *_: None, load_weights=False)
    assert max(resumed.model.bias.tolist()) < 1


def test_what_a_setting_does_not_do_here_is_said_before_the_run() -> None:
    run = prepared("loader.batch_size=5000", "training.compile=true", "training.compile_mode=reduce-overhead")
    assert any("loader.batch_size = 5,000 is more than the 1,438 samples" in note for note in run.notes)
    assert any('compiled with "default" instead' in note for note in run.notes)
    assert not any("compiled with" in note for note in prepared("training.compile=true").notes)
