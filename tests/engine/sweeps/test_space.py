from pathlib import Path
from typing import Any

import pytest
from sweep_cases import definition

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.sweeps.space import decoded, encoded, with_settings


def refusal(tmp_path: Path, space: str, sweep: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        definition(tmp_path, sweep, space=f"[sweep.space]\n{space}\n" if space else "")
    return str(caught.value)


def test_a_file_with_a_sweep_trains_as_if_it_had_none(tmp_path: Path) -> None:
    definition(tmp_path)
    config = load_config(str(tmp_path / "case.toml"))
    assert config.name == "case" and not hasattr(config, "sweep")


def test_a_run_does_not_take_settings_of_a_sweep(tmp_path: Path) -> None:
    definition(tmp_path)
    with pytest.raises(ConfigError, match=r"sweep\.trials: is a setting of a sweep"):
        load_config(str(tmp_path / "case.toml"), ["sweep.trials=3"])


def test_keys_may_be_written_with_and_without_quotes_and_on_the_command_line(tmp_path: Path) -> None:
    found = definition(
        tmp_path,
        "",
        "sweep.space.optimizer.lr={ low = 0.5, high = 0.75 }",
        space='[sweep.space]\n"optimizer.lr" = [0.1]\nmodel.dropout = { low = 0.0, high = 0.5 }\n',
    )
    lr, dropout = sorted(found.space, key=lambda dimension: dimension.key, reverse=True)
    assert (lr.key, lr.low, lr.high) == ("optimizer.lr", 0.5, 0.75)
    assert (dropout.key, dropout.kind) == ("model.dropout", "float")


def test_whole_numbers_stay_whole_where_the_setting_is(tmp_path: Path) -> None:
    found = definition(tmp_path, space='[sweep.space]\n"loader.batch_size" = { low = 16, high = 256, log = true }\n')
    assert found.space[0].kind == "int"


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("", "has no [sweep.space], so there is nothing to vary; add"),
        ('"optimizr.lr" = [1.0]', "unknown key 'optimizr' in the file; did you mean 'optimizer'?"),
        ('"training.epoch" = [1]', "unknown key 'epoch' in [training]; did you mean 'epochs'?"),
        ('"optimizer.lr" = { low = -1.0, high = 1.0 }', "optimizer.lr = -1.0: must be above 0.0 (learning rate)"),
        ('"optimizer.lr" = { low = 1.0, high = 0.1 }', "low = 1.0 must be below high = 0.1"),
        ('"optimizer.lr" = { low = 0.1, high = 1.0, lgo = true }', "unknown key 'lgo'"),
        ('"model.dropout" = { low = 0, high = 0.5, log = true }', "must be above 0 with log = true"),
        ('"optimizer.lr" = 0.1', "write a list of choices"),
        ('"training.compile" = { low = 0, high = 1 }', "is not a number, so it has no range; write a list of choices"),
        ('"loader.batch_size" = { low = 0.5, high = 2.5 }', "must be a range of whole numbers"),
        ('"training.precision" = ["fp32", "fp8"]', "training.precision = 'fp8': must be one of"),
        ('"training.device.x" = [1]', "device is not a section"),
        (
            '"model.dropout" = { low = 0, high = 1, when = "model.nam = cnn" }',
            "unknown setting 'model.nam'; did you mean",
        ),
        ('"model.dropout" = { low = 0, high = 1, when = "cnn" }', "write KEY = VALUE or KEY != VALUE"),
        (
            '"model.dropout" = { choices = [0], when = "optimizer.lr = 1" }\n'
            '"optimizer.lr" = { choices = [1], when = "model.dropout = 0" }',
            "the conditions of model.dropout, optimizer.lr depend on each other",
        ),
    ],
)
def test_a_space_that_can_not_be_is_refused_in_words(tmp_path: Path, space: str, expected: str) -> None:
    assert expected in refusal(tmp_path, space)


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ("trails = 3", "unknown key 'trails' in [sweep]; did you mean 'trials'?"),
        ("trials = 0", "sweep.trials = 0: must be at least 1"),
        ('sampler = "tpee"', "sweep.sampler = 'tpee': must be one of 'tpe', 'gp'"),
        ('metric = "acuracy"', "unknown metric; did you mean 'accuracy'?"),
        ('metric = ["accuracy", "accuracy"]', "each only once"),
        ('metric = ["accuracy", "-parameters"]\npruner = "median"', "can't be pruned"),
        ('constraints = ["memory"]', "write NAME < NUMBER"),
        ('constraints = ["memry < 3"]', "unknown metric; did you mean 'memory'?"),
        ('pruner = "wilcoxon"', "compares seeds, but sweep.seeds = 1; use 3 or more"),
        ('pruner = "median"\nseeds = 3', "use wilcoxon or none"),
        ('sampler = "grid"', "needs a list of choices, or a range with a step"),
    ],
)
def test_settings_of_a_sweep_are_checked(tmp_path: Path, sweep: str, expected: str) -> None:
    assert expected in refusal(tmp_path, '"optimizer.lr" = { low = 0.1, high = 1.0 }', sweep)


def test_an_error_in_the_section_names_its_line(tmp_path: Path) -> None:
    assert f"{tmp_path}/case.toml, line" in refusal(tmp_path, '"optimizer.lr" = [1.0]', "trials = 0")


def test_what_depends_on_another_setting_comes_after_it_and_is_varied_only_then(tmp_path: Path) -> None:
    found = definition(
        tmp_path,
        space='[sweep.space]\n"model.dropout" = { low = 0.0, high = 0.5, when = "model.name = cnn, mlp" }\n'
        '"model.name" = ["cnn", "mlp", "linear"]\n',
    )
    name, dropout = found.space
    assert (name.key, dropout.key) == ("model.name", "model.dropout")
    assert dropout.is_active({"model.name": "mlp"}) and not dropout.is_active({"model.name": "linear"})


@pytest.mark.parametrize("choice", [True, 3, 0.5, "cnn", [8, 8], [{"name": "RandomCrop", "size": 8}], {"a": 1}])
def test_any_value_of_toml_can_be_a_choice(choice: Any) -> None:
    assert isinstance(encoded(choice), bool | int | float | str)
    assert decoded(encoded(choice)) == choice


def test_settings_of_a_trial_become_a_run(tmp_path: Path) -> None:
    found = definition(tmp_path, "epochs = 7")
    settings = {"optimizer.lr": 0.5, "model.hidden": [8, 8], "data.train_transforms": [{"name": "Normalize"}]}
    trial = found.trial_config(settings)
    assert (trial.optimizer.lr, trial.model.arguments["hidden"], trial.training.epochs) == (0.5, [8, 8], 7)
    assert trial.notify.on == []
    assert found.full_config(settings).training.epochs == 2
    assert with_settings(found.config, {}) == found.config
