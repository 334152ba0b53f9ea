"""What the train pane shows without a run: how to start one, what is being prepared, why a start was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchdeck.engine.plurals import plural

from ... import drawing
from ...widgets.panel import Draw, nothing_here
from ..figures import figure

if TYPE_CHECKING:
    from torchdeck.engine.config import RunConfig

_EMPTY_CELLS = 60  # of a line


def invitation(draft: RunConfig) -> Draw:
    """What the pane shows while there is no run: which key starts what, and where earlier runs are."""
    optimizer = f"{draft.optimizer.name}, learning rate {figure(draft.optimizer.lr)}"
    epochs = plural(draft.training.epochs, "epoch")
    what = f"{draft.model.name} on {draft.data.dataset}, {epochs}, {optimizer}"
    return nothing_here(
        "No run is shown",
        "Nothing trains here, and none was chosen.",
        (
            ("S", f"start the draft: [b]{drawing.name(draft.name)}[/]"),
            ("", f"[$text-muted]{drawing.name(what, _EMPTY_CELLS)}[/]"),
            ("3", "look over its settings first"),
            ("5", "choose a run from the list"),
            (":", "find a learning rate, the largest batch"),
        ),
    )


def preparing(draft_name: str, message: str) -> Draw:
    """What the pane shows from the start of a run to its first record.

    Args:
        draft_name: name of the run that is prepared.
        message: what is being done now; empty if that is not known.
    """
    return nothing_here(
        f"[$warning]preparing[/] {drawing.name(draft_name)}",
        f"{drawing.name(message, _EMPTY_CELLS)} …" if message else "",
        (("X", "stop it"), ("6", "what it prints")),
        glyph="●",
    )


def refusal(reason: str, advice: str) -> Draw:
    """What the pane shows about a run that could not be started.

    Args:
        reason: why it could not be started, in lines.
        advice: keys that change something and try again, as a sentence.
    """

    def draw(width: int, height: int) -> list[str]:
        return [
            "[$error]✗[/]  [b]not started[/]",
            "",
            *(f"   {line}" for line in drawing.prose(reason, width - 3)),
            "",
            *(f"   [$text-muted]{line}[/]" for line in drawing.prose(f"Nothing was written. {advice}.", width - 3)),
        ]

    return draw
