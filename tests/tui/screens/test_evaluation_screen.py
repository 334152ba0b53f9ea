"""The screens with the newest evaluation and with the plan of a draft, opened by keys."""

from __future__ import annotations

from pathlib import Path

from studio_pilot import FAST, screen_text, studio, until, until_shown

from torchdeck.tui.screens.evaluation import EvaluationScreen, evaluation_text


async def test_a_key_shows_the_newest_evaluation_of_the_watched_run(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST, "ema.decay=0.5", size=(100, 60)) as (app, pilot):
        await pilot.press("4", "i")
        assert not isinstance(app.screen, EvaluationScreen), "there is no evaluation yet"
        await pilot.press("S")
        await until(pilot, lambda: app.launched is not None and not app.launched.is_alive)
        await until_shown(pilot, "finished")
        await pilot.press("i")
        await until_shown(pilot, "confusion matrix: rows are targets")
        text = screen_text(app)
        assert "validation split, trained weights" in text
        assert "macro F1" in text
        assert "precision" in text
        await pilot.press("v")
        await until_shown(pilot, "averaged (EMA) weights")
        await pilot.press("escape")
        assert not isinstance(app.screen, EvaluationScreen)


def test_an_evaluation_without_classes_shows_its_outputs() -> None:
    tables = {"per_output": {"mae": [0.5, 1.0], "rmse": [0.6, 1.2], "r2": [0.9, 0.1]}}
    text = evaluation_text({"metrics": {"loss": 0.25, "r2": 0.5}}, tables, [], "", 80)
    assert "R²" in text
    assert "0.6" in text
    assert "confusion" not in text
    assert "calibration" not in text
