"""The pictures in README and docs show the panels and keys that the studio has now."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from textual.containers import Container
from textual.content import Content

from torchdeck.engine.config.file import load_config
from torchdeck.tui.app import Studio
from torchdeck.tui.keys.commands import COMMANDS, PANES

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
AGAIN = "run: uv run python docs/make_pictures.py"


def words_of(picture: Path) -> str:
    """The text of a picture, with single blanks."""
    spans = re.findall(r"<text[^>]*>(.*?)</text>", picture.read_text(encoding="utf-8"))
    return " ".join(html.unescape(" ".join(spans)).replace("\xa0", " ").split())


def last_line_of(picture: Path) -> list[str]:
    """The parts of the lowest line of text: keys and what they do, in turn."""
    placed = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', picture.read_text(encoding="utf-8"))
    lowest = max(float(y) for _, y, _ in placed)
    line = sorted((float(x), html.unescape(text)) for x, y, text in placed if float(y) == lowest)
    return [text.replace("\xa0", " ").strip() for _, text in line]


def test_every_picture_that_is_shown_is_made_by_the_script_and_every_one_that_is_made_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    shown = set(re.findall(r"images/([\w-]+\.\w+)", pages))
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_pictures", script)
    spec.loader.exec_module(script)
    made = {f"{name}.svg" for name in (*script.PICTURES, "tour")}
    assert shown == made
    assert {path.name for path in IMAGES.iterdir()} == made


@pytest.mark.parametrize("pane", PANES)
async def test_a_panes_picture_has_its_panels(tmp_path: Path, pane: str) -> None:
    picture = words_of(IMAGES / f"{pane}.svg")
    app = Studio(load_config("digits", []), tmp_path / "runs", spec="digits")
    async with app.run_test(size=(160, 48) if pane == "runs" else (120, 40)) as pilot:
        await pilot.press(str(list(PANES).index(pane) + 1))
        await pilot.pause(0.5)
        tabs = [title for title in PANES.values() if title not in picture]
        titles = [
            Content.from_markup(str(panel.border_title)).plain.split("  ")[0]
            for panel in app.pane.query(".panel")
            if panel.is_on_screen and panel.region.area and panel.border_title and not isinstance(panel, Container)
        ]
        missing = [title for title in titles if title and title.split()[0] not in picture]
    assert tabs == [], AGAIN
    assert missing == [], AGAIN


@pytest.mark.parametrize("name", [path.stem for path in sorted(IMAGES.glob("*.svg")) if path.stem != "tour"])
def test_the_last_line_of_a_picture_shows_keys_as_the_studio_has_them(name: str) -> None:
    known = {(each.shown or each.keys, each.label) for named in COMMANDS.values() for each in named.values()}
    parts = [part for part in last_line_of(IMAGES / f"{name}.svg") if part != "…"]
    shown = list(zip(parts[::2], parts[1::2], strict=True))
    assert len(shown) > 5
    assert [pair for pair in shown if pair not in known] == [], AGAIN
