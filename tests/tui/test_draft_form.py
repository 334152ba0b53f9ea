import pytest

from torchdeck.engine.config import RunConfig, Section
from torchdeck.engine.config.file import load_config, replace_value
from torchdeck.engine.errors import ConfigError
from torchdeck.tui.draft_form import command_line, draft_fields, faulty_field, without_origin

FIELDS = draft_fields(load_config("digits", ["optimizer.momentun=0.9"]), {})


@pytest.mark.parametrize(
    ("key", "text"), [("training.epochs", "0"), ("optimizer.lr", "-1"), ("training.device", "gpu"), ("name", "a b")]
)
def test_an_error_of_an_edit_is_put_below_its_field(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace_value(load_config("digits"), key, text)
    assert faulty_field(without_origin(str(caught.value)), FIELDS) == key


def test_an_unknown_argument_of_a_library_is_put_below_the_field_of_that_argument() -> None:
    error = "optimizer AdamW: unknown argument 'momentun'; known: amsgrad"
    assert faulty_field(error, FIELDS) == "optimizer.momentun"


@pytest.mark.parametrize("error", ["", "CIFAR10 is not in ~/datasets", "data.dataset = 'x': no such data set"])
def test_an_error_of_no_field_of_the_form_is_put_below_none(error: str) -> None:
    assert faulty_field(error, FIELDS) == ""


def test_the_command_names_what_was_changed_and_nothing_else() -> None:
    loaded = load_config("digits")
    assert command_line(loaded, loaded, "digits") == "torchdeck train digits"
    changed = replace_value(loaded, "training.epochs", "3")
    assert command_line(changed, loaded, "digits") == "torchdeck train digits --set training.epochs=3"


def test_every_setting_has_a_field_but_those_of_data_and_model() -> None:
    expected = set()
    for name, field in RunConfig.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        keys = {f"{name}.{key}" for key in field.annotation.model_fields} if is_section else {name}  # type: ignore[union-attr]
        expected |= keys if name not in ("data", "model") else set()
    shown = {field.key for field in draft_fields(RunConfig(), {})}
    assert shown == expected | {f"{name}.add" for name in ("loss", "optimizer", "schedule")}


def test_lists_are_shown_as_they_are_typed() -> None:
    typed = {
        "callbacks": '["cb.py:C"]',
        "evaluation.metrics": '["m.py:A", { name = "m.py:B", key = "b", weight = 2 }]',
        "optimizer.groups": '[{ pattern = "head", lr_factor = 10.0, weight_decay = 0.0 }]',
    }
    config = load_config("digits")
    for key, text in typed.items():
        config = replace_value(config, key, text)
    fields = {field.key: field.value for field in draft_fields(config, {})}
    assert {key: fields[key] for key in typed} == typed
    for key in typed:
        assert replace_value(config, key, fields[key]) == config


def test_one_spec_is_typed_as_it_is() -> None:
    config = replace_value(load_config("digits"), "evaluation.metrics", "m.py:A")
    assert config.evaluation.metric_keys == ["a"]
    assert replace_value(config, "evaluation.metrics", "") == load_config("digits")


def test_a_setting_of_a_metric_offers_the_metrics_there_are() -> None:
    fields = {field.key: field for field in draft_fields(RunConfig(), {})}
    assert fields["early_stopping.metric"].kind == "choice"
    own = replace_value(RunConfig(), "evaluation.metrics", "m.py:MacroF2")
    fields = {field.key: field for field in draft_fields(own, {})}
    for key in ("checkpoint.best_metric", "early_stopping.metric", "schedule.metric"):
        assert fields[key].kind == "text"
        assert {"auto", "accuracy", "macro_f2"} <= set(fields[key].choices)


@pytest.mark.parametrize(
    ("error", "key"),
    [
        ("opt.py:Liom: opt.py defines no 'Liom'; did you mean 'Lion'?", "optimizer.name"),
        ("optimizer own/opt.py:Lion: takes no lr, and is given optimizer.lr", "optimizer.name"),
        ("/home/me/own/sched.py:3: SyntaxError: invalid syntax", "schedule.name"),
        ("importing loss.py: NameError: name 'x' is not defined", "loss.name"),
        ("metric m.py:A: unknown argument 'x'; it takes ()", "evaluation.metrics"),
        ("metric torchmetrics.F1Score: needs the package torchmetrics", "evaluation.metrics"),
        ("evaluation.metrics.0.mode = 'up': must be one of 'auto', 'max' or 'min'", "evaluation.metrics"),
        ("importing both.py: NameError", ""),
    ],
)
def test_an_error_of_your_own_code_is_put_below_the_field_that_names_it(error: str, key: str) -> None:
    config = load_config("digits")
    values = {
        "optimizer.name": "own/opt.py:Liom" if "Liom" in error else "own/opt.py:Lion",
        "schedule.name": "own/sched.py:make",
        "loss.name": "loss.py:f",
        "evaluation.metrics": "['m.py:A', 'both.py:B']",
        "callbacks": "both.py:C",
    }
    for setting, text in values.items():
        config = replace_value(config, setting, text)
    assert faulty_field(error, draft_fields(config, {})) == key
