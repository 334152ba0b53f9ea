import math
from pathlib import Path
from typing import Any

import pytest
import torch
from kill_and_resume import differences, state_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training_cases import (
    STEPS_PER_EPOCH,
    StepHook,
    case,
    ended,
    events_of,
    make_trainer,
    reader_of,
    train,
    weights_of,
    write_model,
)

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import dump_config
from torchdeck.engine.errors import ConfigError, TorchdeckError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.training.compute.step import TrainStep
from torchdeck.engine.training.nonfinite import NonFiniteLossError
from torchdeck.engine.training.records import step_records
from torchdeck.engine.training.records.step_records import StepRecords
from torchdeck.engine.training.trainer import Trainer


class HostReads(TorchDispatchMode):
    """Counts what makes the host wait for the device, wherever in torch it is called from."""

    NAMES = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), keywords: dict[str, Any] | None = None
    ) -> Any:
        self.count += any(name == operation._schema.name.partition("::")[2] for name in self.NAMES)
        return operation(*arguments, **(keywords or {}))


def reads_in_an_epoch(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Reads by the host in the steps of an epoch, and in the drain after them."""
    python_calls: list[str] = []
    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__"):
        original = getattr(Tensor, name)

        def counted(
            tensor: Tensor, *arguments: Any, name: str = name, original: Any = original, **keywords: Any
        ) -> Any:
            python_calls.append(name)
            return original(tensor, *arguments, **keywords)

        monkeypatch.setattr(Tensor, name, counted)
    before_drain = []
    drain = StepRecords.drain

    def drained(self: StepRecords) -> None:
        before_drain.append(len(python_calls) + reads.count)
        drain(self)

    monkeypatch.setattr(StepRecords, "drain", drained)
    monkeypatch.setattr(step_records, "_DRAIN_SECONDS", math.inf)
    trainer._clock.resume()
    trainer.model.train()
    with HostReads() as reads:
        trainer._train_epoch()
    assert len(before_drain) == 1
    return before_drain[0], len(python_calls) + reads.count - before_drain[0]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["training.clip_norm=0.5", "training.accumulate=2", "training.precision=bf16"],
        ["training.precision=fp16", "training.clip_norm=0.5"],
        ["schedule.name=OneCycleLR", "schedule.warmup_epochs=0.5", "optimizer.name=SGD", "optimizer.momentum=0.9"],
    ],
    ids=["plain", "clipping, accumulation, bf16", "fp16", "schedule"],
)
def test_no_step_waits_for_the_device(overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, run = make_trainer(tmp_path, *overrides)
    in_steps, in_drain = reads_in_an_epoch(trainer, monkeypatch)
    run.close("stopped")
    assert in_steps == 0
    assert in_drain > 0, "the drain is where values are read"


def test_a_restore_in_the_middle_of_an_epoch_leaves_the_loop_with_nothing_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back to the very state it is in, two steps before the end of an epoch: nothing is to change."""
    reference = train(tmp_path / "reference")
    hook = StepHook(monkeypatch)
    trainer, run = make_trainer(tmp_path)

    def go_back_to_here() -> None:
        trainer.save("here")
        trainer.restore(trainer.saving.copied_state())

    hook.actions[3] = go_back_to_here
    assert trainer.fit() == "finished"
    run.close("finished")
    reader = reader_of(run.path)
    assert list(reader.series("train/loss")[0]) == list(range(1, 2 * STEPS_PER_EPOCH + 1))
    assert list(reader.series("train/loss")[1]) == list(reader_of(reference).series("train/loss")[1])
    assert differences(state_of(run.path), state_of(reference)) == []


def test_records_hold_every_step_and_epoch_of_the_run(tmp_path: Path) -> None:
    reader = reader_of(train(tmp_path))
    steps, losses = reader.series("train/loss")
    assert list(steps) == list(range(1, 2 * STEPS_PER_EPOCH + 1))
    assert all(math.isfinite(loss) for loss in losses)
    assert [(record["epoch"], record["step"]) for record in reader.epoch_records()] == [(1, 5), (2, 10)]
    assert reader.progress().total_steps == 2 * STEPS_PER_EPOCH


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples(tmp_path: Path) -> None:
    reader = reader_of(train(tmp_path, "training.epochs=1"))
    _, losses = reader.series("train/loss")
    samples = [128, 128, 128, 128, 27]
    expected = sum(loss * count for loss, count in zip(losses, samples, strict=True)) / sum(samples)
    assert reader.epoch_records()[0]["train"]["loss"] == pytest.approx(expected, rel=1e-6)


def test_digits_are_learnt(tmp_path: Path) -> None:
    path = train(
        tmp_path, "training.epochs=12", "model.dropout=0.0", "data.validation=0.2", "data.train_transforms=[]"
    )
    assert reader_of(path).latest_metrics()["accuracy"] > 0.9


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_learns_too(precision: str, tmp_path: Path) -> None:
    reader = reader_of(train(tmp_path, f"training.precision={precision}", "training.epochs=12", "model.dropout=0.0"))
    assert reader.latest_metrics()["accuracy"] > 0.6
    checkpoint = torch.load(reader.path / "checkpoints" / "last.pt", weights_only=True)
    assert (checkpoint["scaler_state_dict"] is not None) == (precision == "fp16")


def test_accumulation_counts_steps_not_batches(tmp_path: Path) -> None:
    reader = reader_of(train(tmp_path, "training.accumulate=2"))
    assert [record["step"] for record in reader.epoch_records()] == [3, 6]


def test_a_batch_larger_than_the_set_is_one_step_an_epoch(tmp_path: Path) -> None:
    reader = reader_of(train(tmp_path, "loader.batch_size=4096"))
    assert [record["step"] for record in reader.epoch_records()] == [1, 2]


def test_a_learning_rate_far_too_high_fails_the_run_and_says_what_to_do(tmp_path: Path) -> None:
    run = ended(launch(case("optimizer.name=SGD", "optimizer.lr=1e30", "training.epochs=9"), tmp_path))
    assert isinstance(run.error, NonFiniteLossError)
    assert run.path is not None
    state = reader_of(run.path).state()
    assert state["status"] == "failed"
    for words in ("step ", "of epoch 1", "learning rate 1e+30", "a lower optimizer.lr", "training.clip_norm"):
        assert words in state["error"]
    assert not list((run.path / "checkpoints").glob("*.pt")), "nothing good to keep"


def finite(path: Path, file: str) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in weights_of(path, file).values())


@pytest.mark.parametrize("when", ["in the middle of an epoch", "in the last step of an epoch"])
def test_weights_that_are_not_finite_are_never_saved_and_earlier_checkpoints_stay(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = STEPS_PER_EPOCH + 2 if when == "in the middle of an epoch" else 2 * STEPS_PER_EPOCH - 1
    update = TrainStep.update
    calls = []

    def poisoning(step: TrainStep) -> None:
        update(step)
        calls.append(None)
        if len(calls) == poisoned + 1:
            with torch.no_grad():
                next(step.model.parameters()).fill_(math.nan)

    monkeypatch.setattr(TrainStep, "update", poisoning)
    run = ended(launch(case("training.epochs=4", "checkpoint.every_steps=1"), tmp_path))
    assert isinstance(run.error, NonFiniteLossError)
    assert run.path is not None
    assert "step" in str(run.error)
    saved = sorted(file.name for file in (run.path / "checkpoints").glob("*.pt"))
    assert "best.pt" in saved
    assert f"step-{poisoned:09d}.pt" in saved
    assert all(finite(run.path, file) for file in saved)
    assert max(event["step"] for event in events_of(run.path, "saved")) == poisoned


def test_an_epoch_whose_validation_loss_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    spec = write_model(
        tmp_path,
        "x = self.fc(x.flatten(1))\nreturn x if self.training else x * float('nan')",
    )
    path = train(tmp_path / "runs", f"model={{name='{spec}'}}")
    assert not (path / "checkpoints" / "best.pt").exists()
    assert (path / "checkpoints" / "last.pt").exists()
    notes = [event["text"] for event in events_of(path, "note")]
    assert any("validation loss is nan" in note for note in notes)


def test_the_validation_split_does_not_touch_the_training(tmp_path: Path) -> None:
    (tmp_path / "digits.py").write_text(
        "from torchdeck.engine.data.datasets.digits import read_digits\n"
        "from torch.utils.data import Subset\n"
        "class Part:\n"
        "    def __init__(self, first, end):\n"
        "        digits = read_digits()\n"
        "        self.samples = [digits[i] for i in range(first, end)]\n"
        "        self.targets = [int(label) for _, label in self.samples]\n"
        "        self.classes = [str(n) for n in range(10)]\n"
        "    def __len__(self):\n"
        "        return len(self.samples)\n"
        "    def __getitem__(self, index):\n"
        "        return self.samples[index]\n"
        "def make(end=700):\n"
        "    return {'train': Part(0, 500), 'test': Part(500, end)}\n",
        encoding="utf-8",
    )
    overrides = [f"data.dataset={tmp_path}/digits.py:make", "data.validation=test", "model.name=cnn"]
    overrides += ["model.channels=[4]", "model.convolutions=1"]
    arguments = [*[o for o in overrides if not o.startswith("model")], "model={name='cnn',channels=[4]}"]
    few = train(tmp_path / "few", *arguments)
    many = train(tmp_path / "many", *arguments, "data.arguments.end=1700")
    assert reader_of(few).latest_metrics() != reader_of(many).latest_metrics()
    other = weights_of(many)
    assert all(torch.equal(tensor, other[name]) for name, tensor in weights_of(few).items())


def run_fails(tmp_path: Path, *overrides: str) -> str:
    run = ended(launch(case(*overrides), tmp_path / "runs"))
    assert run.status == "failed"
    assert run.path is not None
    return str(reader_of(run.path).state()["error"])


BATCH_NORM = "self.norm = nn.BatchNorm1d(64)"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (538, "the last batch of an epoch has one sample (539 samples in batches of 538)"),
        (1, "loader.batch_size = 1: batch normalization can't train on one sample"),
    ],
)
def test_a_batch_of_one_sample_that_batch_norm_refuses_is_said_before_anything_is_written(
    size: int, expected: str, tmp_path: Path
) -> None:
    spec = write_model(tmp_path, "return self.fc(self.norm(x.flatten(1)))", more=BATCH_NORM)
    run = ended(launch(case(f"model={{name='{spec}'}}", f"loader.batch_size={size}"), tmp_path / "runs"))
    assert isinstance(run.error, ConfigError)
    assert expected in str(run.error)
    assert "loader.batch_size" in str(run.error)
    assert ("loader.drop_last = true" in str(run.error)) == (size != 1)
    assert run.path is None
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("model", "overrides"),
    [
        pytest.param("norm", ["loader.drop_last=true"], id="dropped"),
        pytest.param("frozen norm", [], id="frozen"),
        pytest.param("cnn", [], id="over an image's pixels"),
    ],
)
def test_a_last_batch_of_one_sample_that_is_no_harm_is_trained_on(
    model: str, overrides: list[str], tmp_path: Path
) -> None:
    body = "self.norm.eval()\n" if model == "frozen norm" else ""
    spec = write_model(tmp_path, f"{body}return self.fc(self.norm(x.flatten(1)))", more=BATCH_NORM)
    chosen = "model={name='cnn',channels=[4],convolutions=1}" if model == "cnn" else f"model={{name='{spec}'}}"
    train(tmp_path / "runs", chosen, "loader.batch_size=538", "training.epochs=1", *overrides)


def test_a_batch_of_one_sample_in_the_middle_of_training_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text("def batches(num_samples):\n    return [[0, 1, 2], [3]]\n", encoding="utf-8")
    spec = write_model(tmp_path, "return self.fc(self.norm(x.flatten(1)))", more=BATCH_NORM)
    own = f"loader={{batch_sampler='{tmp_path}/order.py:batches'}}"
    error = run_fails(tmp_path, f"model={{name='{spec}'}}", own)
    assert "Expected more than 1 value per channel" in error
    assert "loader.drop_last = true" in error


def test_running_out_of_memory_with_single_samples_says_what_helps(tmp_path: Path) -> None:
    body = "if self.training: torch.empty(2**60)\nreturn self.fc(x.flatten(1))"
    error = run_fails(tmp_path, f"model={{name='{write_model(tmp_path, body)}'}}")
    assert error.startswith("out of memory: ")
    assert "use a smaller model or smaller images" in error


def test_an_exception_in_the_models_forward_names_the_users_line_and_keeps_its_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = "if self.training and len(x) > 1: x = x[..., :3]\nreturn self.fc(x.flatten(1))"
    error = run_fails(tmp_path, f"model={{name='{write_model(tmp_path, body)}'}}")
    assert "shapes cannot be multiplied" in error
    assert "model.py, line 10" in error
    traceback = capfd.readouterr().err
    assert "Traceback (most recent call last)" in traceback
    assert "return self.fc(x.flatten(1))" in traceback


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'scores': self.fc(x.flatten(1))}", "training needs one tensor of"),
        ("return self.fc(x.flatten(1))[:, :7]", "the data's 10 classes"),
    ],
)
def test_a_model_that_does_not_return_logits_is_refused_before_anything_is_written(
    body: str, message: str, tmp_path: Path
) -> None:
    run = ended(launch(case(f"model={{name='{write_model(tmp_path, body)}'}}"), tmp_path / "runs"))
    assert isinstance(run.error, ConfigError)
    assert message in str(run.error)
    assert run.path is None
    assert not (tmp_path / "runs").exists()


def test_labels_beyond_the_classes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(
        "import numpy as np\n"
        "class Made:\n"
        "    classes = ['a', 'b']\n"
        "    targets = [0, 1, 2, 1] * 10\n"
        "    def __len__(self):\n"
        "        return 40\n"
        "    def __getitem__(self, index):\n"
        "        return np.zeros((8, 8, 1), dtype=np.uint8), self.targets[index]\n",
        encoding="utf-8",
    )
    run = ended(launch(case(f"data.dataset={tmp_path}/data.py:Made"), tmp_path / "runs"))
    assert isinstance(run.error, TorchdeckError)
    assert "2" in str(run.error)
    assert run.path is None


def test_a_model_without_a_trainable_parameter_is_refused(tmp_path: Path) -> None:
    run = ended(launch(case("model.freeze=['*']"), tmp_path / "runs"))
    assert isinstance(run.error, ConfigError)
    assert "nothing is left to train" in str(run.error)
    assert not (tmp_path / "runs").exists()


def test_channels_last_trains_the_same_but_for_rounding(tmp_path: Path) -> None:
    model = "model={name='cnn',channels=[4],dropout=0.0}"
    plain, other = train(tmp_path / "1", model), train(tmp_path / "2", model, "training.channels_last=true")
    expected = weights_of(plain)
    for name, tensor in weights_of(other).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-2, atol=1e-3)


def test_deterministic_mode_trains_and_is_left_afterwards(tmp_path: Path) -> None:
    path = train(tmp_path, "training.deterministic=true", "model={name='cnn',channels=[4]}")
    assert reader_of(path).info().get("environment", {}).get("deterministic") is True
    assert not torch.are_deterministic_algorithms_enabled()


def test_every_epoch_and_the_end_are_saved_as_the_config_says(tmp_path: Path) -> None:
    saved = {}
    for every in (0, 1, 3):
        path = train(
            tmp_path / str(every), f"checkpoint.every_epochs={every}", "training.epochs=7", "optimizer.lr=1e-9"
        )
        saved[every] = {event["epoch"] for event in events_of(path, "saved")}
        best = {record["epoch"] for record in reader_of(path).epoch_records() if record["is_best"]}
        allowed = {0: {7}, 1: set(range(1, 8)), 3: {3, 6, 7} | best}[every]
        assert saved[every] <= allowed
        assert 7 in saved[every]
    assert saved[0] == {7}


def test_saves_with_one_config_write_it_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[RunConfig] = []

    def counted(config: RunConfig) -> str:
        written.append(config)
        return dump_config(config)

    monkeypatch.setattr("torchdeck.engine.training.state.dump_config", counted)
    run = train(tmp_path, "checkpoint.every_steps=1")
    assert len(events_of(run, "saved")) >= 2
    assert len(written) == 1
