"""What all panes have in common, and what the studio may ask of each."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.widget import Widget
from textual.widgets import Input


class Pane(Widget):
    """One of the studio's panes, made at its first visit.

    At 80 columns a pane shows one of its views at a time: `v` sets the class `-view-NAME`, and the pane's stylesheet
    says what that shows.
    """

    VIEWS: ClassVar[tuple[str, ...]] = ()
    BEGINS_IN: ClassVar[str] = ""
    """Selector of the panel that has the focus first, while it is shown; by default, the first panel."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A pane's stylesheet looks at the classes of the screen's size, which are above it. Textual reads this from
        # each class alone.
        cls.SCOPED_CSS = False

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view = self.VIEWS[0] if self.VIEWS else ""
        self.set_class(bool(self.view), f"-view-{self.view}")

    def focus_first(self) -> None:
        """Focus where one begins: the pane's main panel, else the first that is shown, not a field to type into."""
        # What a view hides is not in the chain.
        inside = [widget for widget in self.screen.focus_chain if self in widget.ancestors]
        panels = [widget for widget in inside if not isinstance(widget, Input)]
        main = [widget for widget in panels if self.BEGINS_IN and widget in self.query(self.BEGINS_IN)]
        if inside:
            self.screen.set_focus((main or panels or inside)[0])

    def next_view(self, by: int) -> None:
        """Show the next or previous view."""
        if not self.VIEWS:
            self.app.notify("this pane has one view")
            return
        at = self.VIEWS.index(self.view)
        self.show_view(self.VIEWS[(at + by) % len(self.VIEWS)])

    def show_view(self, view: str) -> None:
        """Show a view, and focus in it if the focus is hidden by it."""
        self.remove_class(f"-view-{self.view}")
        self.view = view
        self.add_class(f"-view-{view}")
        self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        focused = self.screen.focused
        if focused is None or self not in focused.ancestors or not focused.is_on_screen:
            self.focus_first()

    def run_changed(self) -> None:
        """The watched run has news. Called while the pane is shown, and when it is shown again."""

    def code_trusted(self) -> None:
        """The draft is the same, but now its code may run."""

    def unsettled(self) -> str:
        """What of an edit of the draft is not applied or wrong, as a sentence; empty if nothing is."""
        return ""

    def go_to_unsettled(self) -> None:
        """Put the cursor on what `unsettled` is about."""
