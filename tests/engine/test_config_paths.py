import re
from pathlib import Path

import pytest

from torchdeck.engine.config import RunConfig, Section
from torchdeck.engine.config.code_names import code_names
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.config.reference import list_sections
from torchdeck.engine.config.section import NamesCode
from torchdeck.engine.launching.absolute_paths import with_absolute_paths
from torchdeck.engine.training.compute.placement import choose_placement
from torchdeck.engine.training.environment import describe_environment
from torchdeck.engine.user_trust import code_files

CONFIG = """
[data]
dataset = "mine/data.py:make"
root = "sets"
cache = "decoded"
train_transforms = [ { name = "mine/steps.py:Blur", radius = 2 }, { name = "RandomHorizontalFlip" } ]
[model]
name = "mine/net.py:make"
weights = "start.pt"
"""


def test_paths_hold_wherever_the_config_is_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(parse_config(CONFIG, "run.toml"))
    assert config.data.dataset == f"{tmp_path}/mine/data.py:make"
    assert config.data.root == f"{tmp_path}/sets"
    assert config.data.cache == f"{tmp_path}/decoded"
    assert config.data.train_transforms[0].name == f"{tmp_path}/mine/steps.py:Blur"
    assert config.data.train_transforms[0].arguments == {"radius": 2}
    assert config.model.name == f"{tmp_path}/mine/net.py:make"
    assert config.model.weights == f"{tmp_path}/start.pt"


def test_names_of_the_catalogs_stay_as_they_are() -> None:
    config = with_absolute_paths(parse_config('[data]\ndataset = "CIFAR10"\n[model]\nname = "resnet18"\n', "run.toml"))
    assert (config.data.dataset, config.model.name, config.model.weights) == ("CIFAR10", "resnet18", "")


def test_a_folder_of_images_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    config = parse_config('[data]\ndataset = "photos"\n', "run.toml")
    assert with_absolute_paths(config).data.dataset == f"{tmp_path}/photos"


def test_the_users_home_is_spelled_out() -> None:
    assert with_absolute_paths(parse_config("", "run.toml")).data.root == f"{Path.home()}/datasets"


# Every setting that may name code, as --set; {} stands for path/to/file.py:name.
CODE_SETTINGS = {
    "callbacks": "callbacks=['{}']",
    "data.dataset": "data.dataset={}",
    "data.train_transforms": "data.train_transforms=[{{name='{}'}}]",
    "data.eval_transforms": "data.eval_transforms=[{{name='RandomApply',transforms=[{{name='{}'}}]}}]",
    "loader.weights": "loader={{sampler='weighted',weights='{}'}}",
    "loader.batch_sampler": "loader.batch_sampler={}",
    "loader.collate_fn": "loader.collate_fn={}",
    "loader.worker_init": "loader={{num_workers=1,worker_init='{}'}}",
    "model.name": "model.name={}",
    "loss.name": "loss.name={}",
    "optimizer.name": "optimizer.name={}",
    "schedule.name": "schedule.name={}",
    "evaluation.metrics": "evaluation.metrics=['{}']",
}


def marked(section: type[Section], prefix: str = "") -> set[str]:
    """The settings of a section that are marked as names of code."""
    found = set()
    for key, field in section.model_fields.items():
        (item, *_) = getattr(field.annotation, "__args__", (None,))
        of_list = isinstance(item, type) and issubclass(item, Section) and marked(item)
        if of_list or any(isinstance(mark, NamesCode) for mark in field.metadata):
            found.add(f"{prefix}{key}")
    return found


def all_marked() -> set[str]:
    sections = {f"{name}.": section for name, section in list_sections().items()}
    return marked(RunConfig).union(*(marked(section, prefix) for prefix, section in sections.items()))  # type: ignore[arg-type]


def test_every_setting_that_speaks_of_a_file_of_code_is_marked() -> None:
    told = {
        f"{name}.{key}"
        for name, section in list_sections().items()
        for key, field in section.model_fields.items()
        if re.search(r"file\.py:", field.description or "")
    }
    assert all_marked() - told == {"data.train_transforms", "data.eval_transforms", "evaluation.metrics", "callbacks"}
    assert told <= all_marked()
    assert all_marked() == CODE_SETTINGS.keys()


@pytest.mark.parametrize("setting", CODE_SETTINGS)
def test_code_is_asked_about_recorded_and_found_from_any_folder(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    config = parse_config("", "run.toml", [CODE_SETTINGS[setting].format("mine.py:X")])
    assert "mine.py:X" in code_names(config)
    assert [file.path for file in code_files(config)] == [tmp_path / "mine.py"]
    assert describe_environment(config, choose_placement(config.training))["user_code"].startswith("mine.py ")
    absolute = with_absolute_paths(config)
    assert f"{tmp_path}/mine.py:X" in code_names(absolute)
    assert "mine.py:X" not in code_names(absolute)
    if setting == "data.dataset":
        assert absolute.model_dump(exclude={"data"}) == config.model_dump(exclude={"data"})


def test_a_file_of_arrays_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos.npz").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    config = parse_config('[data]\ndataset = "photos.npz"\n', "run.toml")
    assert with_absolute_paths(config).data.dataset == f"{tmp_path}/photos.npz"
