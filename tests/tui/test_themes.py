"""Our two themes can be read by everybody, and every theme of Textual gets our meanings."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from textual.app import App
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from torchdeck.tui.look.themes import OWN_THEMES, ansi_colors, meanings_for
from torchdeck.tui.verbs.output import printed

TUI = Path(__file__).parents[2] / "tui"
TEXT = (
    "text", "text-muted", "text-disabled", "text-primary", "text-success", "text-warning", "text-error", "primary",
    "success", "warning", "error", "key", "best", *(f"series-{number}" for number in range(1, 9)),
)  # fmt: skip
GROUNDS = ("background", "surface")


class Themed(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return meanings_for(self.current_theme)


def variables(name: str) -> dict[str, Color]:
    app = Themed()
    for theme in OWN_THEMES:
        app.register_theme(theme)
    app.theme = name
    return {
        key: Color.parse(value)
        for key, value in app.get_css_variables().items()
        if re.fullmatch("#[0-9A-Fa-f]{6}", value)
    }


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio of WCAG 2.2, success criterion 1.4.3."""

    def luminance(color: Color) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [theme.name for theme in OWN_THEMES])
def test_text_has_a_contrast_of_4_5_on_the_page_and_in_dialogs(theme: str) -> None:
    colors = variables(theme)
    low = {(name, ground): contrast(colors[name], colors[ground]) for name in TEXT for ground in GROUNDS}
    assert {pair: round(value, 2) for pair, value in low.items() if value < 4.5} == {}


@pytest.mark.parametrize("theme", [theme.name for theme in OWN_THEMES])
def test_what_is_read_under_the_cursor_can_be_read_there(theme: str) -> None:
    colors = variables(theme)
    low = {name: contrast(colors[name], colors["cursor"]) for name in ("text",)}
    low |= {f"{name} in a well": contrast(colors[name], colors["well"]) for name in ("text", "text-muted")}
    assert {name: round(value, 2) for name, value in low.items() if value < 4.5} == {}


@pytest.mark.parametrize("theme", [theme.name for theme in OWN_THEMES])
def test_the_first_series_differ_for_those_who_see_no_red_or_no_green(theme: str) -> None:
    """Simulated after Viénot, Brettel and Mollon (1999), matrices for linear RGB."""
    colors = variables(theme)
    matrices = {
        "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
        "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
    }

    def seen(color: Color, kind: str) -> tuple[float, ...]:
        linear = [part**2.2 for part in color.normalized]
        mixed = (sum(a * b for a, b in zip(row, linear, strict=True)) for row in matrices[kind])
        return tuple(max(0.0, part) ** (1 / 2.2) for part in mixed)

    for kind in matrices:
        for one, other in combinations([colors[f"series-{number}"] for number in range(1, 5)], 2):
            distance = sum((a - b) ** 2 for a, b in zip(seen(one, kind), seen(other, kind), strict=True)) ** 0.5
            assert distance > 0.08, (kind, one.hex, other.hex)


@pytest.mark.parametrize("name", [*BUILTIN_THEMES, *(theme.name for theme in OWN_THEMES)])
def test_every_theme_has_every_meaning(name: str) -> None:
    app = Themed()
    for theme in OWN_THEMES:
        app.register_theme(theme)
    app.theme = name
    values = app.get_css_variables()
    assert {"key", "best", "frame", "track", "grid", "well", "cursor", "cursor-idle", "series-8"} <= values.keys()
    if not app.current_theme.ansi:
        assert ansi_colors(values).ansi_colors[1] == Color.parse(values["error"]).rgb


def test_no_widget_names_a_color() -> None:
    named = re.compile(
        r"#[0-9a-fA-F]{6}\b"
        r"|\b(?:color|background|border[a-z-]*|tint):[^;$]*\b(?:red|green|blue|yellow|cyan|magenta|white|black)\b"
    )
    files = [
        path
        for folder in ("widgets", "panes", "screens", "palette")
        for suffix in ("py", "tcss")
        for path in (TUI / folder).rglob(f"*.{suffix}")
    ]
    found = [f"{path.name}: {line.strip()}" for path in [*files, TUI / "studio.tcss"]
             for line in path.read_text(encoding="utf-8").splitlines() if named.search(line)]  # fmt: skip
    assert found == []


def test_what_the_screen_shows_has_no_styles_of_a_shell() -> None:
    """A style of Rich names a color; markup names a meaning of the theme."""
    styled = re.compile(r"\brich\.(?:text|style)\b|\bstyle=\"")
    found = [
        f"{path.name}: {line.strip()}"
        for folder in ("words", "panes", "screens", "palette")
        for path in (TUI / folder).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if styled.search(line)
    ]
    assert found == []


def test_a_shell_gets_the_colors_of_the_terminal_for_what_the_screen_shows() -> None:
    text = printed("[b]a[/] [$error]b \\[x][/] [$text-muted]c[/] [$text on $success 40%]9[/]")
    assert text.plain == "a b [x] c 9"
    assert [str(span.style) for span in text.spans] == ["bold", "red", "dim", "white on rgb(0,102,20)"]
