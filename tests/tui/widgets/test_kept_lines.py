"""Lines of a panel are drawn anew only where they have changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.content import Content

from torchdeck.tui.widgets.panel import Lines
from torchdeck.tui.widgets.rows import Rows


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The markup that was parsed."""
    seen: list[str] = []
    parse = Content.from_markup

    def counted(markup: str | Content, **variables: object) -> Content:
        seen.append(str(markup))
        return parse(markup, **variables)

    monkeypatch.setattr(Content, "from_markup", counted)
    return seen


async def test_a_move_of_the_cursor_parses_two_rows(
    look_with: Callable[..., Any], lines_of: Callable[[Any], list[str]], parsed: list[str]
) -> None:
    rows = Rows()
    app = look_with(rows)
    async with app.run_test(size=(40, 30)) as pilot:
        rows.set_rows(100, lambda index, width: f"row [b]{index}[/]", position="")
        rows.focus()
        await pilot.press("down", "down")
        parsed.clear()
        await pilot.press("up")
        assert set(parsed) <= {"row [b]1[/]", "row [b]2[/]"}
        # A page of other rows has each of them in its place.
        await pilot.press("end", "home", "down")
        assert "row 1 " in lines_of(app)[2]
        assert "row 26" in lines_of(app)[27]


async def test_one_changed_line_is_parsed_alone_and_another_theme_draws_all(
    look_with: Callable[..., Any], lines_of: Callable[[Any], list[str]], parsed: list[str]
) -> None:
    panel = Lines()
    app = look_with(panel)
    async with app.run_test(size=(40, 8)) as pilot:
        panel.show(lambda width, height: ["[$error]one[/]", "two", "three"])
        await pilot.pause()
        parsed.clear()
        panel.show(lambda width, height: ["[$error]one[/]", "2", "three"])
        await pilot.pause()
        assert parsed == ["2"]
        assert [line.strip("│ ") for line in lines_of(app)[1:4]] == ["one", "2", "three"]
        before = panel.render_line(0)
        app.theme = "textual-light"
        await pilot.pause()
        assert panel.render_line(0) != before
        panel.show(lambda width, height: ["[$error]one[/]"])
        await pilot.pause()
        assert [line.strip("│ ") for line in lines_of(app)[1:4]] == ["one", "", ""]
