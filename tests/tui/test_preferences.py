"""What the user prefers is kept in one file that may also be edited by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from studio_pilot import studio, until

from torchdeck.engine.errors import ConfigError
from torchdeck.tui.look.preferences import Preferences, preferences_path, read_preferences, remember


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_without_a_file_nothing_is_preferred() -> None:
    assert read_preferences(preferences_path()) == Preferences()


def test_a_choice_is_kept_beside_what_the_user_wrote(tmp_path: Path) -> None:
    path = preferences_path()
    path.parent.mkdir(parents=True)
    path.write_text('# mine\ntheme = "nord"  # dark\n\n[keys]\n"studio.start" = "f9"\n')
    remember(path, pane="train", charts=["loss", "lr"], count=4)
    remember(path, theme="gruvbox")
    remember(path, pane="train", count=6)
    assert "# mine" in path.read_text()
    known = read_preferences(path)
    assert (known.theme, dict(known.keys)) == ("gruvbox", {"studio.start": "f9"})
    assert known.panes["train"] == {"charts": ["loss", "lr"], "count": 6}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("theme = ", "Invalid value"),
        ("theme = 3", "theme must be a name in quotes"),
        ("colors = 1", "unknown key 'colors' (allowed: theme, [keys], [panes.NAME])"),
        ('[keys]\n"a" = 1', "[keys] must hold lines"),
        ("panes = 2", "[panes] must hold tables"),
        ("a = " + "[" * 10_000, "nested more than"),
        ("a = " + "{x = " * 10_000, "nested more than"),
        ("x" * (2 << 20), "larger than"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_and_nothing_is_overwritten(text: str, words: str) -> None:
    path = preferences_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"studio\.toml: ") as caught:
        read_preferences(path)
    assert words in str(caught.value)
    with pytest.raises(ConfigError):
        remember(path, theme="nord")
    assert path.read_text() == text


async def test_the_studio_takes_theme_and_keys_from_the_file_and_remembers_a_new_theme(tmp_path: Path) -> None:
    path = preferences_path()
    path.parent.mkdir(parents=True)
    path.write_text('theme = "nord"\n\n[keys]\n"studio.keys" = "f9"\n')
    async with studio(tmp_path) as (app, pilot):
        assert app.theme == "nord"
        await pilot.press("f9")
        await pilot.pause()
        assert type(app.screen).__name__ == "HelpScreen"
        app.theme = "torchdeck-light"
        await until(pilot, lambda: read_preferences(path).theme == "torchdeck-light")


def test_a_file_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    path = preferences_path()
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(ConfigError, match=r"studio\.toml: can't be read: not a regular file"):
        read_preferences(path)


def test_a_link_to_the_file_is_followed(tmp_path: Path) -> None:
    path = preferences_path()
    path.parent.mkdir(parents=True)
    (tmp_path / "dotfiles.toml").write_text('theme = "nord"')
    path.symlink_to(tmp_path / "dotfiles.toml")
    assert read_preferences(path).theme == "nord"
    remember(path, theme="gruvbox")
    assert path.is_symlink() and read_preferences(path).theme == "gruvbox"


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = preferences_path()
    path.parent.mkdir(parents=True)
    path.write_text('[keys]\n"studio.starts" = "f9"\n')
    async with studio(tmp_path) as (app, _):
        (said,) = [each.text for each in app.told if "[keys]" in each.text]
        assert said == "[keys] studio.starts: unknown command; did you mean 'studio.start'?"
