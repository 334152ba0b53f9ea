"""What a run says of its troubles has a reason that `show` prints and `?` shows."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from studio_pilot import screen_text, until

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import config_values, load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.tui.app import Studio
from torchdeck.tui.screens.help import HelpScreen
from torchdeck.tui.verbs.runs import show
from torchdeck.tui.words.train.event_reasons import _REASONS, explained, why

WORDS_OF_LOSS = "Each step overshoots the minimum"


@pytest.fixture(scope="module")
def exploded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of SGD with a learning rate of 50."""
    settings = ["optimizer.name=SGD", "optimizer.lr=50", "schedule.name=constant", "schedule.warmup_epochs=0"]
    config = load_config("digits", [*settings, "training.epochs=1", "training.device=cpu", "loader.batch_size=64"])
    run = launch(config, tmp_path_factory.mktemp("runs"))
    run.join(120)
    assert run.status == "finished" and run.path is not None, run.error
    return run.path


def test_every_setting_that_a_reason_names_exists() -> None:
    known = {f"{section}.{key}" for section, values in config_values(RunConfig()).items() if isinstance(values, dict)
             for key in values}  # fmt: skip
    sections = "|".join({name.partition(".")[0] for name in known})
    named = {name for text in _REASONS.values() for name in re.findall(rf"\b(?:{sections})\.[a-z_]+[a-z]\b", text)}
    assert len(named) > 6
    assert named <= known


def test_the_reason_of_gradients_is_that_of_their_problem() -> None:
    texts = [why({"kind": "gradients", "problem": problem}) for problem in ("exploding", "vanishing", "non-finite")]
    assert len(set(texts)) == 3 and all(texts)
    assert not why({"kind": "saved"})


def test_the_newest_of_each_kind_is_explained_first() -> None:
    events = [
        {"kind": "loss", "step": 1},
        {"kind": "advice", "step": 2},
        {"kind": "saved"},
        {"kind": "loss", "step": 3},
    ]
    assert [(each.kind, each.step) for each in explained(events)] == [("loss", 3), ("advice", 2)]


def test_show_prints_what_the_run_said_and_why(exploded: Path) -> None:
    arguments = [exploded.name, "--runs", str(exploded.parent)]
    lines = CliRunner().invoke(show, arguments).output.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("the loss explodes"))
    assert lines[place + 1].startswith(f"why: {WORDS_OF_LOSS}")
    document = json.loads(CliRunner().invoke(show, [*arguments, "--json"]).output)
    alert = next(alert for alert in document["alerts"] if alert["kind"] == "loss")
    assert alert["step"] > 0 and alert["why"].startswith(WORDS_OF_LOSS)


async def test_the_help_of_the_train_pane_begins_with_it(exploded: Path) -> None:
    app = Studio(load_config("digits"), exploded.parent, spec="digits", watch=exploded)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "the loss explodes" in screen_text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: WORDS_OF_LOSS in screen_text(app))
