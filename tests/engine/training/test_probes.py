"""Looking at gradients: right numbers, alerts that name the module, and a run that does not notice."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from training_cases import (
    case,
    events_of,
    finished,
    keep_every_save,
    make_trainer,
    objective,
    placement,
    reader_of,
    resume_copy,
    train,
)

from torchdeck.engine.config import ModelConfig
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.training.compute.probes import GradientLook, GradientProbe
from torchdeck.engine.training.compute.step import TrainStep
from torchdeck.engine.training.monitors.gradient_watch import GradientAlerts


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Sequential(nn.Linear(40, 3), nn.Linear(3, 3)))


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param([], id="plain"),
        pytest.param(["training.precision=fp16", "training.clip_norm=0.5"], id="fp16, unscaled and clipped"),
        pytest.param(["training.precision=fp16"], id="fp16, unscaled by the optimizer"),
        pytest.param(["training.accumulate=2", "training.clip_norm=0.5", "optimizer.name=SGD"], id="accumulated"),
    ],
)
def test_a_run_is_bit_identical_with_and_without_looks(tmp_path: Path, overrides: list[str]) -> None:
    _check_identical([train(tmp_path / every, f"training.probe_every={every}", *overrides) for every in "01"])


def test_a_convolutional_run_in_channels_last_is_bit_identical_as_well(tmp_path: Path) -> None:
    config = case("training.channels_last=true", "training.epochs=1")
    config = config.model_copy(update={"model": ModelConfig.model_validate({"name": "cnn", "channels": [4]})})
    runs = []
    for every in (0, 1):
        training = config.training.model_copy(update={"probe_every": every})
        runs.append(finished(launch(config.model_copy(update={"training": training}), tmp_path / str(every))))
    _check_identical(runs)


def _check_identical(runs: list[Path]) -> None:
    """Of two runs, the first without looks and the second with one every step."""
    without, looked_at = (torch.load(run / "checkpoints" / "last.pt", weights_only=True) for run in runs)
    for name in ("model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "scaler_state_dict", "rng"):
        assert _equal(without[name], looked_at[name]), name
    losses = [reader_of(run).series("train/loss")[1].tolist() for run in runs]
    assert losses[0] == losses[1]
    assert not reader_of(runs[0]).gradients().looks
    assert len(reader_of(runs[1]).gradients().looks) == without["position"]["step"]


def _equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(_equal, a, b))
    return a == b


@pytest.mark.parametrize("clip_norm", [0.0, 1e-3])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_norms_are_those_of_the_unclipped_and_unscaled_gradients(clip_norm: float, precision: str) -> None:
    network = model()
    placed = placement(f"training.precision={precision}")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step = TrainStep(network, optimizer, objective(num_classes=3), placed, clip_norm=clip_norm)
    step.probe = probe = GradientProbe(network)
    inputs, targets = torch.randn(16, 6), torch.randint(3, (16,))
    with torch.autocast("cpu", dtype=torch.float16, enabled=precision == "fp16"):
        loss = functional.cross_entropy(network(inputs), targets)
    expected = [
        math.hypot(*(float(part.norm()) for part in parts))
        for parts in _pairs(torch.autograd.grad(loss, list(network.parameters())))
    ]
    before = [parameter.detach().clone() for parameter in network.parameters()]
    probe.step = 1
    step([(inputs, targets)])
    after = [parameter.detach() for parameter in network.parameters()]
    (look,) = probe.take()
    assert probe.paths == ["0", "2.0", "2.1"]
    assert look.step == 1
    assert look.gradient == pytest.approx(expected, rel=1e-2 if precision == "fp16" else 1e-5)
    assert look.weight == pytest.approx([math.hypot(*map(_norm, parts)) for parts in _pairs(after)], rel=1e-5)
    changes = [new - old for new, old in zip(after, before, strict=True)]
    assert look.update == pytest.approx([math.hypot(*map(_norm, parts)) for parts in _pairs(changes)], rel=1e-4)


def _pairs(tensors):
    return [tensors[index : index + 2] for index in range(0, len(tensors), 2)]


def _norm(tensor: torch.Tensor) -> float:
    return float(tensor.norm())


def test_frozen_and_unused_and_shared_parameters() -> None:
    network = model()
    network[0].requires_grad_(False)
    network[2][1] = network[2][0]
    unused = nn.Linear(3, 3)
    network.add_module("unused", unused)
    probe = GradientProbe(network)
    assert probe.paths == ["2.0", "unused"]
    network[2][0](torch.randn(2, 40)).sum().backward()
    probe.before_update(None)
    probe.after_update()
    (look,) = probe.take()
    assert look.gradient[0] is not None
    assert look.gradient[0] > 0
    assert look.gradient[1] is None
    assert look.update == [0.0, 0.0]


def looks(*norms: float | None, weight: float = 1.0) -> list[GradientLook]:
    return [GradientLook(10 * index, [norm], [weight], [0.0]) for index, norm in enumerate(norms, start=1)]


@pytest.mark.parametrize(
    ("norms", "has_scaler", "expected"),
    [
        pytest.param([0.5, math.nan, math.nan], False, [("non-finite", 20)], id="said once"),
        pytest.param([math.inf, 0.5, math.inf], False, [("non-finite", 10), ("non-finite", 30)], id="said again"),
        pytest.param([math.inf] * 4 + [0.5], True, [], id="a scaler finds its factor"),
        pytest.param([math.inf] * 5, True, [("non-finite", 50)], id="a scaler that never finds it"),
        pytest.param([0.5] * 5 + [6.0, 0.5, 6.0, 7.0, 8.0], False, [("exploding", 90)], id="twice on end"),
        pytest.param([0.01] * 5 + [0.5, 0.5], False, [], id="large only beside tiny ones"),
        pytest.param([1e-8] * 6, False, [("vanishing", 50)], id="vanishing"),
        pytest.param([None] * 9, False, [], id="no gradient at all"),
    ],
)
def test_alerts(norms: list[float | None], has_scaler: bool, expected: list[tuple[str, int]]) -> None:
    alerts = GradientAlerts(["layer1.conv"], has_scaler=has_scaler)
    found = [alert for look in looks(*norms) for alert in alerts.look(look)]
    assert [(alert.problem, alert.step) for alert in found] == expected
    assert all("layer1.conv" in alert.text for alert in found)


def test_an_alert_is_an_event_that_names_the_module(tmp_path: Path) -> None:
    trainer, run = make_trainer(tmp_path, "training.probe_every=1", "training.epochs=1")
    with torch.no_grad():
        for parameter in list(trainer.model.parameters())[-2:]:
            parameter.mul_(1e12)
    with pytest.raises(Exception, match="training stopped"):
        for parameter in list(trainer.model.parameters())[:1]:
            parameter.register_hook(lambda gradient: gradient * math.inf)
        trainer.fit()
    run.close("failed")
    (event, *_) = events_of(run.path, "gradients")
    assert event["problem"] == "non-finite"
    assert event["modules"][0] == trainer._gradients._probe.paths[0]


def test_a_resumed_run_has_the_looks_of_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_every_save(monkeypatch)
    whole = train(tmp_path / "whole", "training.probe_every=2", "checkpoint.every_steps=3")
    resumed = resume_copy(whole, tmp_path / "resumed", "step-000000006.pt")
    expected, found = (reader_of(run).gradients().looks for run in (whole, resumed))
    assert list(found) == list(expected)


def test_a_parent_has_the_norm_of_all_below_it(tmp_path: Path) -> None:
    run = train(tmp_path, "training.probe_every=5", "model.hidden=[8, 8]")
    records = reader_of(run).gradients()
    newest = records.newest
    assert newest is not None
    rolled = newest.rolled_up()
    assert rolled[""].gradient == pytest.approx(
        math.hypot(*(norms.gradient or 0 for norms in newest.modules.values()))
    )
    steps, gradients, ratios = records.history("")
    assert steps == [5, 10]
    assert gradients[-1] == rolled[""].gradient
    assert 0 < ratios[-1] < 1
