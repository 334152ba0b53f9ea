from dataclasses import replace

import pytest

from torchdeck.engine.config import RunConfig, Section
from torchdeck.engine.config.file import load_config, remove_argument, replace_value
from torchdeck.engine.errors import ConfigError
from torchdeck.tui.draft_form import Libraries, command_line, draft_fields, faulty_field, without_origin
from torchdeck.tui.draft_sections import ESSENTIALS, form_sections, section_counts

FIELDS = draft_fields(load_config("digits", ["optimizer.momentun=0.9"]))


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
    shown = {field.key for field in draft_fields(RunConfig())}
    assert shown == expected


def test_lists_are_shown_as_they_are_typed() -> None:
    typed = {
        "callbacks": '["cb.py:C"]',
        "evaluation.metrics": '["m.py:A", { name = "m.py:B", key = "b", weight = 2 }]',
        "optimizer.groups": '[{ pattern = "head", lr_factor = 10.0, weight_decay = 0.0 }]',
    }
    config = load_config("digits")
    for key, text in typed.items():
        config = replace_value(config, key, text)
    fields = {field.key: field.value for field in draft_fields(config)}
    assert {key: fields[key] for key in typed} == typed
    for key in typed:
        assert replace_value(config, key, fields[key]) == config


def test_one_spec_is_typed_as_it_is() -> None:
    config = replace_value(load_config("digits"), "evaluation.metrics", "m.py:A")
    assert config.evaluation.metric_keys == ["a"]
    assert replace_value(config, "evaluation.metrics", "") == load_config("digits")


def test_a_setting_of_a_metric_offers_the_metrics_there_are() -> None:
    fields = {field.key: field for field in draft_fields(RunConfig())}
    assert fields["early_stopping.metric"].kind == "choice"
    own = replace_value(RunConfig(), "evaluation.metrics", "m.py:MacroF2")
    fields = {field.key: field for field in draft_fields(own)}
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
    assert faulty_field(error, draft_fields(config)) == key


def test_a_field_knows_the_value_of_the_preset_the_default_and_what_is_allowed() -> None:
    preset = load_config("digits")
    fields = {field.key: field for field in draft_fields(replace_value(preset, "training.epochs", "3"), origin=preset)}
    epochs = fields["training.epochs"]
    assert (epochs.value, epochs.origin, epochs.default) == ("3", "15", "10")
    assert epochs.allowed == "at least 1, at most 1,000,000"
    assert [field.key for field in fields.values() if field.is_changed] == ["training.epochs"]
    assert fields["training.precision"].choices == ("auto", "fp32", "tf32", "bf16", "fp16")


def test_arguments_that_the_library_takes_have_fields_before_they_are_set() -> None:
    libraries = Libraries(arguments={("optimizer", "AdamW"): {"weight_decay": "0.01", "amsgrad": "false"}})
    fields = {field.key: field for field in draft_fields(load_config("digits"), libraries)}
    assert fields["optimizer.weight_decay"].is_set
    amsgrad = fields["optimizer.amsgrad"]
    assert (amsgrad.is_set, amsgrad.kind, amsgrad.value, amsgrad.is_changed) == (False, "bool", "false", False)


def test_an_argument_of_the_preset_that_was_removed_differs_from_it() -> None:
    preset = load_config("digits")
    libraries = Libraries(arguments={("optimizer", "AdamW"): {"weight_decay": "0.01"}})
    fields = draft_fields(remove_argument(preset, "optimizer.weight_decay"), libraries, origin=preset)
    assert [field.key for field in fields if field.is_changed] == ["optimizer.weight_decay"]


def test_what_has_no_effect_says_why() -> None:
    fields = {field.key: field for field in draft_fields(load_config("digits"), off={"loader.timeout": "no workers"})}
    assert fields["training.compile_mode"].off == "compile is off"
    assert fields["loader.timeout"].off == "no workers"
    assert fields["training.epochs"].off == ""
    compiled = draft_fields(load_config("digits", ["training.compile=true"]))
    assert not any(field.off for field in compiled if field.key == "training.compile_mode")


def test_the_essentials_come_first_and_every_section_counts_what_differs_and_what_is_wrong() -> None:
    preset = load_config("digits")
    draft = replace_value(replace_value(preset, "training.epochs", "3"), "training.accumulate", "2")
    fields = [
        replace(field, error="too much" if field.key == "training.accumulate" else "")
        for field in draft_fields(draft, origin=preset)
    ]
    sections = form_sections(fields)
    assert sections[0].title == ESSENTIALS
    assert [field.label for field in sections[0].fields][:4] == ["name", "epochs", "batch_size", "optimizer"]
    counts = {count.title: count for count in section_counts(sections)}
    assert (counts[ESSENTIALS].changed, counts[ESSENTIALS].wrong) == (1, 0)
    assert (counts["Training"].changed, counts["Training"].wrong) == (2, 1)
    assert counts["EMA"].fields == 4


def test_a_setting_is_found_by_words_of_its_name_and_its_help() -> None:
    found = form_sections(draft_fields(load_config("digits")), "momentum")
    assert [section.title for section in found] == []
    found = form_sections(draft_fields(load_config("digits")), "learning ema decay")
    assert found == []
    found = form_sections(draft_fields(load_config("digits")), "learning optim")
    assert (found[0].title, found[0].fields[0].key) == ("Optimizer", "optimizer.lr")
