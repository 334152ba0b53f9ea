import pytest

from torchdeck.engine.config.file import load_config, replace_value
from torchdeck.engine.errors import ConfigError
from torchdeck.tui.draft_form import command_line, draft_fields, faulty_field, without_origin

KEYS = [field.key for field in draft_fields(load_config("digits", ["optimizer.momentun=0.9"]), {})]


@pytest.mark.parametrize(
    ("key", "text"), [("training.epochs", "0"), ("optimizer.lr", "-1"), ("training.device", "gpu"), ("name", "a b")]
)
def test_an_error_of_an_edit_is_put_below_its_field(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace_value(load_config("digits"), key, text)
    assert faulty_field(without_origin(str(caught.value)), KEYS) == key


def test_an_unknown_argument_of_a_library_is_put_below_the_field_of_that_argument() -> None:
    error = "optimizer AdamW: unknown argument 'momentun'; known: amsgrad"
    assert faulty_field(error, KEYS) == "optimizer.momentun"


@pytest.mark.parametrize("error", ["", "CIFAR10 is not in ~/datasets", "data.dataset = 'x': no such data set"])
def test_an_error_of_no_field_of_the_form_is_put_below_none(error: str) -> None:
    assert faulty_field(error, KEYS) == ""


def test_the_command_names_what_was_changed_and_nothing_else() -> None:
    loaded = load_config("digits")
    assert command_line(loaded, loaded, "digits") == "torchdeck train digits"
    changed = replace_value(loaded, "training.epochs", "3")
    assert command_line(changed, loaded, "digits") == "torchdeck train digits --set training.epochs=3"
