"""Paths with ~ in them: an unknown user's name is no crash but a file that isn't there."""

from pathlib import Path

import pytest

from torchdeck.engine.config.file import load_config, parse_config
from torchdeck.engine.errors import ConfigError, RunError
from torchdeck.engine.launching.absolute_paths import with_absolute_paths
from torchdeck.engine.runs.browsing.references import find_checkpoint
from torchdeck.engine.user_path import user_path
from torchdeck.engine.user_trust import code_files

ROOT = Path(__file__).resolve().parents[2]


def test_the_home_folder_is_meant_and_an_unknown_users_stays_as_it_was_written() -> None:
    assert user_path("~/data") == Path.home() / "data"
    assert user_path("~nobody-here/data") == Path("~nobody-here/data")


def test_what_opens_such_a_path_says_that_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"~nobody-here/run\.toml: no such file"):
        load_config("~nobody-here/run.toml")
    with pytest.raises((ConfigError, RunError), match="~nobody-here"):
        find_checkpoint(tmp_path, "~nobody-here/last.pt", None)
    config = parse_config("", "test", ["model.name=~nobody-here/net.py:Net", "data.root=~nobody-here"])
    assert code_files(config) == []
    assert with_absolute_paths(config).data.root.endswith("~nobody-here")


def test_no_path_is_expanded_in_another_way() -> None:
    sources = [path for folder in ("engine", "tui") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    assert [path.name for path in sources if ".expanduser()" in path.read_text(encoding="utf-8")] == []
