"""The parameter groups of an optimizer in a panel."""

from __future__ import annotations

import pytest
from textual.content import Content

from torchdeck.engine.preflight.weight_groups import WeightGroup, WeightGroups
from torchdeck.tui.words.model.groups_text import group_lines


@pytest.mark.parametrize("width", [54, 60, 90])
def test_every_figure_of_a_group_is_shown_in_the_room_of_the_panel(width: int) -> None:
    group = WeightGroup("AdamW", 0.0003, 1.0, 0.05, {}, [], ["a", "b"], 0, 304_326_632)
    lines = [Content.from_markup(line).plain for line in group_lines(WeightGroups([group], 3, 1_024, []), width)]
    assert max(map(len, lines)) <= width
    assert lines[0].split() == ["group", "lr", "decay", "tensors", "params"]
    assert lines[1].split() == ["■", "AdamW", "0.0003", "0.05", "2", "304,326,632"]
    assert lines[2].split() == ["❄", "frozen", "–", "–", "3", "1,024"]
