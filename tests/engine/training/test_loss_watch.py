"""A loss that explodes and a score that jumps are said, once, and noise is not."""

import random
from pathlib import Path

import pytest

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.training.monitors.advice import OscillationAdvice
from torchdeck.engine.training.monitors.loss_watch import LossWatch


def said(losses: list[float], *, is_resumed: bool = False, block: int = 3) -> list[str]:
    watch = LossWatch(is_resumed=is_resumed)
    found = [watch.look(losses[first : first + block], first + block) for first in range(0, len(losses), block)]
    return [text for text in found if text]


def test_a_loss_that_explodes_is_said_once() -> None:
    assert said([2.3, 40.0, 900.0, 1e5, 1e7, *[1.65e9] * 30]) == [
        "the loss explodes: 900 around step 5, 391 times that of the first step; lower optimizer.lr, or set "
        "training.clip_norm = 1"
    ]


def test_it_is_said_again_after_it_recovered() -> None:
    assert len(said([*[1.0] * 10, *[50.0] * 10, *[1.0] * 10, *[50.0] * 10])) == 2


@pytest.mark.parametrize("is_resumed", [False, True])
def test_noise_and_single_hard_batches_are_not(is_resumed: bool) -> None:
    draw = random.Random(0)
    noisy = [0.5 * draw.lognormvariate(0, 0.7) for _ in range(3000)]
    noisy[500] = 1e4
    assert said(noisy, is_resumed=is_resumed) == []


def test_a_resumed_run_may_lose_more_than_its_first_step() -> None:
    assert said([0.001, *[0.05] * 20], is_resumed=True) == []
    assert said([0.001, *[0.5] * 20], is_resumed=True) != []


def test_a_first_step_that_counted_nothing_is_no_reference() -> None:
    assert len(said([0.0, 2.3, *[900.0] * 10])) == 1


def advised(optimizer: str, scores: list[float]) -> list[str]:
    advice = OscillationAdvice(optimizer)
    return [text for score in scores if (text := advice.look("validation accuracy", score))]


JUMPING = [0.71, 0.58, 0.74, 0.55, 0.72, 0.6, 0.75, 0.52]


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "NAdam"])
def test_a_score_that_jumps_under_adam_brings_the_advice_once(optimizer: str) -> None:
    (text,) = advised(optimizer, JUMPING)
    assert text.startswith(f"validation accuracy jumps (71%, 58%, 74%, 55%, 72%, 60%) under {optimizer}")
    assert 'optimizer.name = "SGD"' in text


@pytest.mark.parametrize(
    ("optimizer", "scores"),
    [
        ("SGD", JUMPING),
        ("AdamW", [0.5, 0.6, 0.68, 0.73, 0.77, 0.8, 0.82]),
        ("AdamW", [0.9, 0.905, 0.9, 0.906, 0.901, 0.905, 0.9]),
        ("AdamW", [0.3, 0.5, 0.45, 0.65, 0.6, 0.8, 0.75, 0.9]),
        ("AdamW", JUMPING[:5]),
    ],
    ids=["another optimizer", "it rises", "it trembles", "it rises with setbacks", "too few"],
)
def test_nothing_is_advised_otherwise(optimizer: str, scores: list[float]) -> None:
    assert advised(optimizer, scores) == []


def test_a_run_that_explodes_says_so(tmp_path: Path) -> None:
    settings = ["optimizer.name=SGD", "optimizer.lr=200", "training.epochs=1", "schedule.name=constant"]
    config = load_config("digits", [*settings, "training.device=cpu", "training.num_threads=1"])
    run = launch(config, tmp_path)
    run.join(120)
    assert run.path is not None, run.error
    reader = RunReader(run.path)
    reader.poll()
    (event,) = [event for event in reader.events() if event["kind"] == "loss"]
    assert "the loss explodes" in event["text"]
