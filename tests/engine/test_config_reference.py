from pathlib import Path

from pydantic import BaseModel

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.reference import Setting, config_reference, list_sections, list_settings

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def settings() -> dict[str, Setting]:
    listed = {setting.key: setting for setting in list_settings(RunConfig)}
    for name, section in list_sections().items():
        listed |= {f"{name}.{setting.key}": setting for setting in list_settings(section)}
    return listed


def test_the_page_in_the_docs_is_what_the_config_says_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == config_reference(), (
        "run: python -m torchdeck.engine.config.reference > docs/config.md"
    )


def test_every_field_of_a_run_is_on_the_page_with_a_description() -> None:
    expected = {"name", "seed", "start_from", "callbacks"}
    for name, field in RunConfig.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            expected |= {f"{name}.{key}" for key in field.annotation.model_fields}
    assert settings().keys() == expected
    assert all(setting.description for setting in settings().values())


def test_types_defaults_and_bounds_are_said_as_toml_writes_them() -> None:
    listed = settings()
    assert listed["training.precision"].allowed == "`auto`, `fp32`, `tf32`, `bf16`, `fp16`"
    assert listed["training.accumulate"].allowed == "at least 1, at most 4,096"
    assert listed["optimizer.lr"] == Setting("lr", "number", "`0.01`", "above 0", "learning rate")
    assert listed["data.validation"].type == "text or number"
    assert listed["data.train_transforms"].type == "list of components"
    assert listed["training.compile"].default == "`false`"
    assert listed["loader.num_workers"].type == "whole number"
