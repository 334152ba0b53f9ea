import io
import math
import random

import numpy as np
import pytest
import torch
from training_cases import make_trainer, objective

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.randomness import capture_python_randomness, restore_python_randomness, step_seed
from torchdeck.engine.training.records.step_log import StepBlock
from torchdeck.engine.training.snapshot import SnapshotBuffers
from torchdeck.engine.training.state import Best, Totals

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [("accuracy", [0.5, 0.7, 0.6], 0.7), ("macro_f1", [0.2, 0.1], 0.2), ("loss", [1.0, 0.4, 0.8], 0.4)],
)
def test_the_best_epoch_is_the_highest_score_or_the_lowest_loss(metric: str, values: list[float], best: float) -> None:
    record = Best(metric)
    for epoch, value in enumerate(values, start=1):
        record.offer({"loss": 1.0, metric: value}, epoch=epoch, step=epoch * 10)
    assert (record.value, record.epoch) == (best, values.index(best) + 1)


def test_of_equal_epochs_the_earlier_stays_the_best() -> None:
    record = Best("accuracy")
    assert record.offer({"accuracy": 0.9, "loss": 1.0}, epoch=1, step=1)
    assert not record.offer({"accuracy": 0.9, "loss": 0.5}, epoch=2, step=2)
    assert record.epoch == 1


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_an_epoch_whose_loss_is_not_finite_is_never_the_best(loss: float) -> None:
    record = Best("accuracy")
    assert not record.offer({"accuracy": 0.9, "loss": loss}, epoch=1, step=1)
    assert record.offer({"accuracy": 0.1, "loss": 2.0}, epoch=2, step=2)


def test_sums_do_not_depend_on_how_steps_were_grouped() -> None:
    losses, samples = [0.1 * step + 1e-9 for step in range(9)], [3, 5, 7] * 3
    one, many = Totals(), Totals()
    one.add(StepBlock(losses, [1] * 9, samples, [0.1] * 9))
    for start, end in ((0, 2), (2, 3), (3, 9)):
        many.add(StepBlock(losses[start:end], [1] * (end - start), samples[start:end], [0.1] * (end - start)))
    assert one == many
    assert one.epoch_metrics(objective()) == {"loss": one.loss / 45, "accuracy": 9 / 45}


def test_an_epoch_without_samples_has_no_metrics() -> None:
    assert all(math.isnan(value) for value in Totals().epoch_metrics(objective()).values())


def test_a_capture_is_a_copy_that_later_steps_do_not_change(tmp_path_factory: pytest.TempPathFactory) -> None:
    trainer, run = make_trainer(tmp_path_factory.mktemp("runs"))
    captured = trainer.state.capture({}, {}, SnapshotBuffers(CPU).snapshot())
    before = {name: tensor.clone() for name, tensor in captured["model_state_dict"].items()}
    trainer.fit()
    run.close("finished")
    assert all(torch.equal(tensor, before[name]) for name, tensor in captured["model_state_dict"].items())
    assert captured["position"] == {"epoch": 0, "step_in_epoch": 0, "step": 0}


def test_a_capture_opens_as_plain_data_with_the_tutorials_keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    trainer, run = make_trainer(tmp_path_factory.mktemp("runs"), "training.precision=fp16")
    trainer.fit()
    run.close("finished")
    file = io.BytesIO()
    torch.save(trainer.state.capture({"loss": 1.0}, {}, SnapshotBuffers(CPU).snapshot()), file)
    loaded = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    assert list(loaded)[1:4] == ["epoch", "model_state_dict", "optimizer_state_dict"]
    assert loaded["scaler_state_dict"]["scale"] > 0
    assert loaded["epoch"] == 2


def test_a_checkpoint_that_lacks_a_part_is_refused_by_its_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    trainer, run = make_trainer(tmp_path_factory.mktemp("runs"))
    run.close("stopped")
    checkpoint = trainer.state.capture({}, {}, SnapshotBuffers(CPU).snapshot())
    del checkpoint["totals"]
    with pytest.raises(CheckpointError, match="it has no 'totals'"):
        trainer.state.restore(checkpoint)


def test_python_and_numpy_generators_come_back_through_a_checkpoint() -> None:
    random.seed(3)
    np.random.seed(3)
    random.gauss(0, 1)
    np.random.standard_normal()
    file = io.BytesIO()
    torch.save(capture_python_randomness(), file)
    expected = random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.random()
    restore_python_randomness(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert (random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.random()) == expected


def test_the_seeds_of_steps_differ_in_seed_step_and_rank() -> None:
    seeds = {step_seed(seed, step, rank) for seed in range(10) for step in range(100) for rank in range(4)}
    assert len(seeds) == 10 * 100 * 4
    assert all(0 <= seed < 2**63 for seed in seeds)
