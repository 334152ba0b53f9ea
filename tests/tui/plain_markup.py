"""Markup as a reader sees it."""

from textual.content import Content


def plain(markup: str) -> str:
    """The text of markup, without its styles."""
    return Content.from_markup(markup).plain
