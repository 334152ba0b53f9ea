import tomllib
from pathlib import Path

import pytest

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import dump_config, load_config, parse_config, replace_value
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.errors import ConfigError

PRESETS = ["digits", "cifar10-fast", "cifar10-resnet", "fashion-mnist-cnn", "fashion-mnist-mlp", "finetune-resnet18"]


def refusal(text: str = "", *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "run.toml", overrides)
    return str(caught.value)


def test_the_presets_are_the_promised_ones() -> None:
    assert [preset.name for preset in list_presets()] == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_complete_commented_and_named_like_its_file(name: str) -> None:
    path = next(preset.path for preset in list_presets() if preset.name == name)
    config = load_config(name)
    assert config.name == name
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert {"data", "loader", "model", "optimizer", "training"} <= tomllib.loads(text).keys()


@pytest.mark.parametrize("name", PRESETS)
def test_a_written_config_reads_back_equal(name: str) -> None:
    config = load_config(name)
    assert parse_config(dump_config(config), "run.toml") == config


def test_a_written_config_holds_every_resolved_value() -> None:
    values = tomllib.loads(dump_config(RunConfig()))
    assert values["training"]["accumulate"] == 1
    assert values["checkpoint"]["keep_last"] == 3


def test_arguments_of_a_library_are_kept_beside_the_name() -> None:
    config = parse_config('[optimizer]\nname = "AdamW"\nlr = 1e-3\nbetas = [0.9, 0.99]\n', "run.toml")
    assert config.optimizer.arguments == {"betas": [0.9, 0.99]}
    assert config.optimizer.lr == 1e-3


def test_an_override_changes_one_value() -> None:
    config = load_config("digits", ["training.epochs=3", "optimizer.lr=0.1", "model.width=32"])
    assert (config.training.epochs, config.optimizer.lr, config.model.arguments["width"]) == (3, 0.1, 32)


def test_an_override_of_a_text_field_needs_no_quotes_even_when_it_looks_like_a_number() -> None:
    assert load_config("digits", ["name=7"]).name == "7"


def test_an_override_can_hold_a_whole_pipeline() -> None:
    config = load_config("digits", ['data.train_transforms=[{name="RandomHorizontalFlip", p=0.3}]'])
    assert config.data.train_transforms[0].arguments == {"p": 0.3}


def test_replacing_a_value_leaves_the_original_alone() -> None:
    config = load_config("digits")
    assert replace_value(config, "training.epochs", "2").training.epochs == 2
    assert config.training.epochs == 15


def test_a_misspelt_key_names_the_line_the_section_and_the_nearest_key() -> None:
    assert refusal('name = "a"\n[training]\nepcohs = 3\n') == (
        "run.toml, line 3: unknown key 'epcohs' in [training]; did you mean 'epochs'?"
    )


def test_a_misspelt_section_names_the_nearest() -> None:
    assert "did you mean 'training'?" in refusal("[trainning]\nepochs = 3\n")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs=ten", "training.epochs = 'ten': must be a whole number"),
        ("training.epochs=2.5", "training.epochs = 2.5: must be a whole number"),
        ("training.epochs=0", "training.epochs = 0: must be at least 1"),
        ("training.compile=1", "training.compile = 1: must be true or false"),
        ("training.precision=fp8", "must be one of 'auto', 'fp32', 'tf32', 'bf16' or 'fp16'"),
        ("optimizer.lr=-1", "optimizer.lr = -1: must be above 0"),
        ("loss.label_smoothing=1.0", "must be below 1"),
        ("data.validation=1.5", "a fraction of the training split"),
        ("checkpoint.best_metric=acuracy", "did you mean 'accuracy'?"),
        ("name=a/b", "must be 1 to 80 letters"),
        ("data.train_transforms=Normalize", "must be a list"),
        ("training.device=gpu", "auto, cpu, cuda"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(override: str, expected: str) -> None:
    assert expected in refusal("", override)


def test_a_rule_between_sections_names_the_line_or_the_override() -> None:
    text = '[training]\nepochs = 2\n[checkpoint]\nbest_metric = "acuracy"\n'
    assert "line 4: checkpoint.best_metric = 'acuracy': must be one of 'auto', 'loss'," in refusal(text)
    assert refusal("", "checkpoint.best_metric=acuracy").startswith("--set: checkpoint.best_metric = 'acuracy'")
    assert refusal("", "evaluation.metrics=[{name='a.py:B',mode='up'}]").startswith("--set: evaluation.metrics.0.mode")


def test_every_wrong_value_is_told_at_once() -> None:
    message = refusal("[training]\nepochs = 0\n[loader]\nbatch_size = -1\n")
    assert "training.epochs" in message
    assert "loader.batch_size" in message


def test_damaged_toml_shows_the_line() -> None:
    message = refusal('name = "a"\n[training]\nepochs = \n')
    assert "not valid TOML" in message
    assert "line 3" in message


def test_an_override_without_an_equals_sign_says_how_it_is_written() -> None:
    assert "must be KEY=VALUE" in refusal("", "training.epochs")


def test_an_override_through_a_value_is_refused() -> None:
    assert "training.epochs is not a section" in refusal("[training]\nepochs = 3\n", "training.epochs.x=3")


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'digits'"):
        load_config("digit")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(str(tmp_path / "run.toml"))


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "windows.toml").write_text('name = "from-windows"\n', encoding="utf-8-sig")
    assert load_config(str(tmp_path / "windows.toml")).name == "from-windows"


@pytest.mark.parametrize("preset", [preset.name for preset in list_presets()])
def test_every_preset_trains_with_one_epoch(preset: str) -> None:
    """A newcomer's first command; warm-up and schedule shrink with it."""
    assert load_config(preset, ["training.epochs=1"]).training.epochs == 1
