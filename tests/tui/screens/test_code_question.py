"""The user's own code runs only after a yes."""

from pathlib import Path

import pytest
import torch
from studio_pilot import FAST, screen_text, studio, until, until_shown
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from torchdeck.engine.config import NotifyConfig, RunConfig
from torchdeck.engine.run_files import CONFIG_FILE
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.user_trust import CodeTrust, TrustStore
from torchdeck.tui.app import Studio
from torchdeck.tui.cli import main
from torchdeck.tui.code_question import CodeQuestion
from torchdeck.tui.messages import ResumeRequested
from torchdeck.tui.process import worker_calls
from torchdeck.tui.screens.scores import ScoresScreen
from torchdeck.tui.screens.trust import TrustScreen


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model whose file leaves a trace when it runs."""
    file = tmp_path / "own.py"
    file.write_text(
        f"from torch import nn\n\nopen({str(tmp_path / 'ran')!r}, 'a').write('x')\n\n"
        "def net(num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n",
        encoding="utf-8",
    )
    return file


async def asked(app: Studio, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(app.screen, TrustScreen) and bool(screen_text(app).strip()))


async def test_a_config_that_names_code_runs_nothing_before_a_yes(tmp_path: Path, own: Path) -> None:
    async with studio(tmp_path, f"model={{name='{own}:net'}}") as (app, pilot):
        await asked(app, pilot)
        shown = screen_text(app)
        assert str(own) in shown and "calls net" in shown and "from torch import nn" in shown
        await pilot.press("n", "2")
        await until_shown(pilot, "not run:")
        await pilot.press("4", "S")
        await asked(app, pilot)
        await pilot.press("escape")
        assert app.launched is None
        assert not (tmp_path / "ran").exists()
        await pilot.press("4", "S")
        await asked(app, pilot)
        await pilot.press("escape")
        assert not (tmp_path / "ran").exists()


async def test_a_yes_is_remembered_and_the_panes_go_on(tmp_path: Path, own: Path) -> None:
    async with studio(tmp_path, f"model={{name='{own}:net'}}") as (app, pilot):
        await asked(app, pilot)
        await pilot.press("y")
        # The first pane's measurement must end before the screen closes.
        await until_shown(pilot, "1,438 train")
        await pilot.press("2")
        await until_shown(pilot, "650 parameters")
    assert not CodeTrust(TrustStore()).unknown(f"{own}:net")


async def test_evaluating_a_checkpoint_whose_config_names_code_asks(tmp_path: Path, own: Path) -> None:
    file = tmp_path / "c.pt"
    torch.save({"torchdeck_format": 1, "config": f"[model]\nname = '{own}:net'\n"}, file)
    assert not await CodeQuestion(App(), [f"{own}:net"]).refusal(worker_calls.EVALUATE_CHECKPOINT, ((file,), {}))
    async with studio(tmp_path) as (app, pilot):
        await until_shown(pilot, "1,438 train")
        for answer in ("n", "y"):
            screen = ScoresScreen(file, app.worker)
            app.push_screen(screen)
            await asked(app, pilot)
            await until_shown(pilot, "own.py")
            await pilot.press(answer)
            if answer == "n":
                await until_shown(pilot, "not run:")
            else:
                await until(pilot, lambda: not CodeTrust(TrustStore()).unknown(f"{own}:net"))
            await pilot.press("escape")


def test_the_verbs_that_build_the_model_of_a_checkpoint_take_a_yes(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "c.pt"
    torch.save({"torchdeck_format": 1, "config": f"[model]\nname = '{own}:net'\n"}, file)
    for verb, *rest in (("evaluate",), ("export", str(tmp_path / "out.pt2"))):
        monkeypatch.setattr("sys.argv", ["torchdeck", verb, str(file), *rest])
        assert main() == 2
        assert "own.py" in (said := capsys.readouterr().err) and "--trust-code" in said
    assert not (tmp_path / "ran").exists()
    monkeypatch.setattr("sys.argv", ["torchdeck", "evaluate", str(file), "--trust-code"])
    assert main() == 1
    assert "has no weights" in capsys.readouterr().err
    assert not CodeTrust(TrustStore()).unknown(f"{own}:net")


async def test_a_command_of_a_config_runs_only_after_a_yes_that_showed_all_of_it(tmp_path: Path) -> None:
    trace = tmp_path / "told"
    command = f"echo {'x' * 150} >{trace}"
    settings = (*FAST, "notify.after_minutes=0", f"notify.command={command}")
    async with studio(tmp_path, *settings, size=(160, 40)) as (app, pilot):
        await until_shown(pilot, "1,438 train")
        assert not isinstance(app.screen, TrustScreen)
        await pilot.press("4", "S")
        await asked(app, pilot)
        shown = screen_text(app)
        assert "a shell command that you have not approved yet" in shown and "notify.command" in shown
        assert shown.count("x") >= 150
        await pilot.press("n")
        assert app.launched is None
        await pilot.press("4", "S")
        await asked(app, pilot)
        await pilot.press("y")
        await until(pilot, trace.exists)
    assert not CodeTrust(TrustStore()).unknown_to_train(app.draft)


async def test_resuming_a_run_whose_directory_holds_a_command_asks(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path / "runs", RunConfig(notify=NotifyConfig(command="touch told")), {})
    run.close("stopped")
    assert "touch told" in (run.path / CONFIG_FILE).read_text(encoding="utf-8")
    async with studio(tmp_path) as (app, pilot):
        app.post_message(ResumeRequested(run.path))
        await asked(app, pilot)
        await until_shown(pilot, "touch told")
        await pilot.press("n")
        await pilot.pause()
        assert app.launched is None


async def test_a_web_address_of_a_config_is_asked_about_and_shown_before_a_run_starts(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST, "notify.webhook=https://example.org/hook", size=(160, 40)) as (app, pilot):
        await until_shown(pilot, "1,438 train")
        await pilot.press("4", "S")
        await asked(app, pilot)
        shown = screen_text(app)
        assert "sends notifications to a web address that you have not approved yet" in shown
        assert "notify.webhook" in shown and "https://example.org/hook" in shown
        await pilot.press("n")
        assert app.launched is None


async def test_the_question_lists_every_file_and_keeps_its_answers_on_a_small_screen(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text("WIDTH = 3\n", encoding="utf-8")
    for name in ("one", "two"):
        body = "".join(f"line_{number} = {number}\n" for number in range(60))
        (tmp_path / f"{name}.py").write_text(f"import parts\n{body}", encoding="utf-8")
    store = CodeTrust(TrustStore())
    files = store.unknown([f"{tmp_path}/one.py:net", f"{tmp_path}/two.py:loss"])
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        screen = TrustScreen(files)
        app.push_screen(screen)
        await asked(app, pilot)
        await until_shown(pilot, "y  Run all 3, and remember this content")
        assert "Esc  Doesn't run it" in screen_text(app)
        words = "\n".join(str(line.render()) for line in screen.query(Static))
        for name in ("one.py", "two.py", "parts.py"):
            assert str(tmp_path / name) in words
        assert "WIDTH = 3" in words and "imported by one.py" in words and words.count("line_59") == 2
        before = screen_text(app)
        await pilot.press("pagedown")
        await until(pilot, lambda: screen_text(app) != before)
        assert "y  Run all 3" in screen_text(app)
        await pilot.press("n")
