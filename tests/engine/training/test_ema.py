from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from kill_and_resume import differences, history_of, state_of
from torch import Tensor, nn
from training_cases import case, ended, reader_of, resume_copy, train

from torchdeck.engine.config import EmaConfig
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.engine.training.compute import executor
from torchdeck.engine.training.optimization.ema import AveragedWeights


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def walk(model: nn.Module, averages: AveragedWeights, steps: int) -> list[dict[str, Tensor]]:
    """Move the weights at random; the model's state after every step."""
    seen = []
    generator = torch.Generator().manual_seed(1)
    for step in range(1, steps + 1):
        model(torch.randn(8, 3, generator=generator))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        averages.after_step(step)
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return seen


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize("every", [1, 3])
def test_an_average_is_the_recurrence_written_out(warmup: bool, every: int) -> None:
    model = make_model()
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    averages = AveragedWeights(model, EmaConfig(decay=0.9, warmup=warmup, every_steps=every))
    updates = 0
    for step, state in enumerate(walk(model, averages, 10), start=1):
        if step % every:
            continue
        updates += 1
        decay = min(0.9, (1 + updates) / (10 + updates)) if warmup else 0.9
        for name, tensor in state.items():
            is_whole = not tensor.is_floating_point()
            expected[name] = tensor if is_whole else decay * expected[name] + (1 - decay) * tensor
    for name, tensor in averages.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected[name])
    assert averages.updates == updates
    assert averages.state_dict().keys() == model.state_dict().keys()


def test_the_models_own_weights_come_back_to_the_bit() -> None:
    model = make_model()
    averages = AveragedWeights(model, EmaConfig(decay=0.9))
    before = walk(model, averages, 5)[-1]
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    with pytest.raises(ZeroDivisionError), averages.in_place():
        assert not torch.equal(model[0].weight, before["0.weight"])
        assert torch.equal(model[0].weight, averages.state_dict()["0.weight"])
        assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
        _ = 1 / 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_weights_that_are_loaded_while_the_average_is_in_place_are_the_models_own_afterwards() -> None:
    model = make_model()
    averages = AveragedWeights(model, EmaConfig(decay=0.9))
    walk(model, averages, 5)
    loaded = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    with averages.in_place():
        model.load_state_dict(loaded)
        averages.own_was_loaded()
        assert torch.equal(model[0].weight, averages.state_dict()["0.weight"])
        assert torch.equal(averages.own_value(model[0].weight), loaded["0.weight"])
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())


def test_a_save_and_a_stop_while_the_average_is_measured_keep_the_weights_and_go_on_bit_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("ema.decay=0.8", "training.num_threads=1")
    reference = train(tmp_path / "whole", *settings)
    saved: dict[str, dict[str, Tensor]] = {}
    save, measure, evaluations = RunWriter.save_checkpoint, executor.evaluate, count(1)

    def save_and_look(run: RunWriter, state: dict[str, Any], **fields: Any) -> None:
        for part in ("model_state_dict", "ema_state_dict"):
            saved[f"{fields['reason']}: {part}"] = {name: value.clone() for name, value in state[part].items()}
        save(run, state, **fields)

    def measure_and_command(*arguments: Any, **keywords: Any) -> Any:
        if next(evaluations) == 2:
            run.control.submit({"cmd": "save"})
            run.control.submit({"cmd": "stop"})
        return measure(*arguments, **keywords)

    monkeypatch.setattr(RunWriter, "save_checkpoint", save_and_look)
    monkeypatch.setattr(executor, "evaluate", measure_and_command)
    run = launch(case(*settings), tmp_path / "stopped")
    assert ended(run).status == "stopped"
    assert run.path is not None
    assert differences(saved["asked: model_state_dict"], saved["stop: model_state_dict"]) == []
    assert differences(saved["asked: model_state_dict"], saved["asked: ema_state_dict"])
    path = resume_copy(run.path, tmp_path / "resumed")
    assert differences(state_of(path), state_of(reference)) == []
    assert history_of(path) == history_of(reference)


def test_tied_weights_are_averaged_once_and_named_twice() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    averages = AveragedWeights(model, EmaConfig(decay=0.5, warmup=False))
    with torch.no_grad():
        model[0].weight += 1
    averages.after_step(1)
    state = averages.state_dict()
    assert state["0.weight"] is state["1.weight"]
    torch.testing.assert_close(state["0.weight"], model[0].weight - 0.5)


def test_tied_weights_come_back_to_the_bit() -> None:
    model = make_model()
    model.extend([nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)])
    model[4].weight = model[3].weight
    averages = AveragedWeights(model, EmaConfig(decay=0.5))
    own = walk(model, averages, 3)[-1]
    with averages.in_place():
        assert not torch.equal(model[4].weight, own["4.weight"])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, own[name]), name


def test_the_average_is_measured_beside_the_weights_and_saved_under_their_names(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    path = train(tmp_path / "ema", "ema.decay=0.8", "ema.decides_best=true")
    checkpoint = torch.load(path / "checkpoints" / "last.pt", weights_only=True)
    assert checkpoint["ema_state_dict"].keys() == checkpoint["model_state_dict"].keys()
    assert checkpoint["ema_updates"] == 10
    records = reader_of(path).epoch_records()
    assert all(record["ema"]["loss"] != record["validation"]["loss"] for record in records)
    assert [record["validation"] for record in records] == [
        record["validation"] for record in reader_of(plain).epoch_records()
    ], "the average changes nothing of the training"
    best = reader_of(path).best()
    assert best is not None
    assert best["weights"] == "ema"
    assert best["value"] == max(record["ema"]["accuracy"] for record in records)
    assert len(reader_of(path).series("ema/accuracy")[0]) == 2
