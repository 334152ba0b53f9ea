"""The draft is started as the screen shows it, a change of it is undone, and it outlives the studio."""

from pathlib import Path

import pytest
from studio_pilot import go_to_field, screen_text, set_field, studio, told, until, until_shown
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher

from torchdeck.engine.config.file import find_config, load_config
from torchdeck.engine.config.secret_settings import secret_value
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.files.state_folder import state_folder
from torchdeck.tui.app import Studio
from torchdeck.tui.draft_form import change_lines
from torchdeck.tui.kept_draft import DraftFile, KeptDraft
from torchdeck.tui.panes.data.pane import DataPane
from torchdeck.tui.panes.data.transforms import TransformsView
from torchdeck.tui.screens.kept_draft import KeptDraftScreen
from torchdeck.tui.widgets.config_form import ConfigForm


async def test_a_start_is_refused_while_a_field_shows_what_the_draft_does_not_hold(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "training.epochs")
        # Typed and not applied.
        await pilot.press("enter", "0", "f5")
        await until(pilot, lambda: "not applied yet" in told(app))
        form = app.query_one("SetupPane ConfigForm", ConfigForm)
        assert app.launched is None and app.focused is form.editor
        # Applied and rejected, then started from another pane.
        await pilot.press("escape")
        await set_field(pilot, "training.epochs", "0")
        await until(pilot, lambda: "must be at least 1" in form.field_of("training.epochs").error)
        await go_to_field(pilot, "seed")
        await pilot.press("1", "S")
        await until(pilot, lambda: "must be at least 1" in told(app))
        assert app.launched is None
        await until(pilot, lambda: app.query_one(ContentSwitcher).current == "setup")
        await until(pilot, lambda: form.field is not None and form.field.key == "training.epochs")
        await set_field(pilot, "training.epochs", "7")
        await until_shown(pilot, "✓ ready to start")
        await pilot.press("f5")
        await until(pilot, lambda: app.launched is not None)


async def delete_a_transform(app: Studio, pilot: Pilot[None]) -> None:
    """Delete the first transform with the keys of the data pane."""
    transforms = app.query_one(TransformsView)
    app.query_one(DataPane).action_show_part("transforms")
    await until(pilot, lambda: transforms.count > 0 and transforms.is_on_screen)
    transforms.focus()
    await pilot.press("d")


async def test_a_start_where_the_draft_is_not_shown_and_a_stop_ask_first(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000", "model.name=mlp") as (app, pilot):
        for pane in ("1", "2", "5", "7"):
            await pilot.press(pane, "S")
            await until_shown(pilot, "Start the run digits?")
            await pilot.press("escape")
            assert app.launched is None
        await pilot.press("S")
        await until_shown(pilot, "Start the run digits?")
        await pilot.press("S")
        await until(pilot, lambda: app.watched_run.status == "running")
        for answer in ("escape", "X"):
            await pilot.press("X")
            await until_shown(pilot, f"Stop {app.watched.name}?")
            assert app.launched.is_alive
            await pilot.press(answer)
        await until(pilot, lambda: app.watched_run.status == "stopped")


async def test_u_undoes_changes_of_every_pane_in_their_order(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 40)) as (app, pilot):
        drafts = [app.draft]
        await delete_a_transform(app, pilot)
        await until(pilot, lambda: app.draft != drafts[-1])
        drafts.append(app.draft)
        await pilot.press("2")
        await until_shown(pilot, "features")
        await pilot.press("down", "e")
        await until(pilot, lambda: bool(app.draft.model.freeze))
        drafts.append(app.draft)
        await pilot.press("3")
        await go_to_field(pilot, "preset")
        await pilot.press("right")
        await until(pilot, lambda: app.draft != drafts[-1])
        preset = app.spec
        assert preset != "digits"
        last = app.draft
        for draft, key in zip(reversed(drafts), ("u", "ctrl+z", "u"), strict=True):
            await pilot.press(key)
            await until(pilot, lambda: app.draft == draft)  # noqa: B023
        assert app.spec == "digits"
        await pilot.press("u")
        await until(pilot, lambda: "no change of the draft to be undone" in told(app))
        await pilot.press("U", "ctrl+y", "U")
        await until(pilot, lambda: app.draft == last)
        assert app.spec == preset


async def test_q_keeps_the_draft_and_the_studio_offers_it_when_it_opens_again(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await delete_a_transform(app, pilot)
        await until(pilot, lambda: len(app.draft.data.train_transforms) == 1)
        changed = app.draft
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert "your draft is kept" in app.parting_words
    file = DraftFile("digits").path
    assert file.stat().st_mode & 0o777 == 0o600
    for answer, stays in (("escape", True), ("y", True), ("n", False)):
        async with studio(tmp_path, size=(80, 24)) as (app, pilot):
            await until(pilot, lambda: isinstance(app.screen, KeptDraftScreen))
            await until_shown(pilot, "data.train_transforms:")
            assert "Esc decides later" in screen_text(app)
            await pilot.press(answer)
            await until(pilot, lambda: len(app.screen_stack) == 1)
            assert (app.draft == changed) is (answer == "y")
        assert file.exists() is stays


def test_a_damaged_kept_draft_is_said_with_its_place(tmp_path: Path) -> None:
    file = DraftFile("digits")
    assert file.read() is None
    config = load_config("digits", ["training.epochs=3"])
    file.keep(KeptDraft(config, "digits"))
    assert file.read() == KeptDraft(config, "digits")
    assert file.path.is_relative_to(state_folder())
    for damaged in ("{", "[]", '{"spec": "digits"}', '{"config": "[training]\\nepochs = 0", "spec": ""}'):
        file.path.write_text(damaged)
        with pytest.raises(ConfigError, match=str(file.path)):
            file.read()
    file.remove()
    file.remove()


def test_the_differences_of_drafts_are_one_line_each() -> None:
    before = load_config("digits", ["optimizer.amsgrad=true"])
    after = load_config("digits", ["training.epochs=3"])
    assert change_lines(before, after) == ["training.epochs: 15 → 3", "optimizer.amsgrad: true → not set"]


async def test_a_secret_is_typed_once_and_then_neither_shown_nor_in_the_kept_draft(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(160, 50)) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "notify.webhook", "https://example.org/TOKEN")
        await until_shown(pilot, "--set notify.webhook=secret:")
        await until(pilot, lambda: app.draft.notify.webhook.startswith("secret:"))
        assert "TOKEN" not in screen_text(app)
        reference = app.draft.notify.webhook
        await pilot.press("u")
        await until(pilot, lambda: app.draft.notify.webhook == "")
        await pilot.press("U")
        await until(pilot, lambda: app.draft.notify.webhook == reference)
        assert "undone: notify.webhook" in told(app) and "TOKEN" not in told(app)
    kept = app._draft_file.path.read_text()
    assert reference in kept and "TOKEN" not in kept
    assert secret_value("notify.webhook", reference) == "https://example.org/TOKEN"


async def test_a_rejected_secret_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(160, 50)) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "notify.webhook", "ftp://TOKEN")
        await until(pilot, lambda: "must be the address of a web server" in app.draft_error)
        assert "TOKEN" not in app.draft_error


async def test_a_file_with_a_secret_is_opened_without_showing_it_and_without_a_change(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(find_config("digits").read_text() + '\n[notify]\nwebhook = "https://example.org/TOKEN"\n')
    app = Studio(load_config(str(own)), tmp_path / "runs", spec=str(own))
    assert "TOKEN" not in str(app.draft) and change_lines(load_config(str(own)), app.draft) == []
    app.keep_draft()
    assert app.parting_words == ""
