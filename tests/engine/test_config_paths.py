from pathlib import Path

import pytest

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.launching.absolute_paths import with_absolute_paths

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


def test_names_of_the_catalogues_stay_as_they_are() -> None:
    config = with_absolute_paths(parse_config('[data]\ndataset = "CIFAR10"\n[model]\nname = "resnet18"\n', "run.toml"))
    assert (config.data.dataset, config.model.name, config.model.weights) == ("CIFAR10", "resnet18", "")


def test_a_folder_of_images_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    config = parse_config('[data]\ndataset = "photos"\n', "run.toml")
    assert with_absolute_paths(config).data.dataset == f"{tmp_path}/photos"


def test_the_users_home_is_spelled_out() -> None:
    assert with_absolute_paths(parse_config("", "run.toml")).data.root == f"{Path.home()}/datasets"
