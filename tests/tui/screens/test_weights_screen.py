"""The weights dialog previews how a file fits before it is applied."""

from pathlib import Path

import torch
from studio_pilot import choose_in_palette, paste, screen_text, studio, until, until_shown
from textual.widgets import Input

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.models.build import build_model
from torchdeck.tui.screens.weights import WeightsScreen


async def test_a_file_is_previewed_and_then_applied(tmp_path: Path) -> None:
    state = build_model(ModelConfig(name="cnn"), 4, (1, 8, 8)).state_dict()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "w.pt")
    torch.save({"conv.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2")
        await choose_in_palette(pilot, "Start from weights in a file")
        await until(pilot, lambda: isinstance(app.screen, WeightsScreen) and isinstance(app.focused, Input))
        await paste(pilot, str(tmp_path / "other.pt"))
        await pilot.press("enter")
        await until_shown(pilot, "does not fit")
        await pilot.press("enter")
        await until_shown(pilot, "does not fit")
        assert app.draft.model.weights == ""
        await pilot.press("ctrl+u")
        await paste(pilot, str(tmp_path / "w.pt"))
        await pilot.press("enter")
        await until_shown(pilot, "can be loaded")
        assert "under state_dict.module." in screen_text(app)
        assert "classifier.weight (4×128 in the file, 10×128 here)  (head: starts fresh)" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.draft.model.weights == str(tmp_path / "w.pt"))
