"""The JSON documents of the verbs."""

import io
import json
from pathlib import Path

from torchdeck.tui.verbs.output import print_json


def test_names_that_are_no_text_or_would_steer_a_terminal_are_escaped() -> None:
    document = {"path": Path("runs/bad\udcff"), "name": "R² \u202e\x9b31m", "value": float("nan")}
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    print_json(document, file)
    file.seek(0)
    text = file.read()
    assert "R² " in text
    assert not any(character in text for character in "\udcff\u202e\x9b")
    assert json.loads(text) == {"path": "runs/bad\udcff", "name": "R² \u202e\x9b31m", "value": None}
