"""A resume from any checkpoint is bit-exact, and these tests fail if it is not."""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from campaign import is_full_campaign
from kill_and_resume import CALLBACK, differences, history_of, state_of
from PIL import Image
from training_cases import (
    ended,
    events_of,
    keep_every_save,
    reader_of,
    resume_copy,
    train,
    weights_of,
    write_model,
)

from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.launching.launch import launch_resumed
from torchdeck.engine.randomness import StepRandomness, capture_python_randomness, restore_python_randomness
from torchdeck.engine.training.callbacks import Callbacks
from torchdeck.engine.training.monitors.early_stopping import EarlyStopping
from torchdeck.engine.training.optimization.ema import AveragedWeights
from torchdeck.engine.training.optimization.schedules import Schedule
from torchdeck.engine.training.state import Best, Position, RunState, Totals

# Each as an override of the case, which has dropout, augmentation and AdamW in all of them.
SETTINGS = {
    "plain": [],
    "accumulation and warm-up": [
        "training.accumulate=2",
        "schedule.name=CosineAnnealingLR",
        "schedule.warmup_epochs=0.5",
    ],
    "one cycle": ["schedule.name=OneCycleLR"],
    "plateau": ["schedule={name='ReduceLROnPlateau',patience=0,threshold=10.0}", "training.epochs=3"],
    "fp16": ["training.precision=fp16"],
    "average, evaluation between epochs, patience": [
        "ema={decay=0.9, every_steps=2}",
        "evaluation.every_steps=3",
        "early_stopping={patience=4, metric='loss', min_delta=10.0}",
        "training.epochs=9",
    ],
    "groups, layer decay, adaptive clipping": [
        "optimizer.layer_decay=0.5",
        "optimizer.decay_1d=false",
        "optimizer.groups=[{pattern='*.bias', lr_factor=2.0}]",
        "schedule.name=OneCycleLR",
        "training.clip_norm=0.1",
        "training.clip_by=adaptive",
    ],
    "Muon": ["optimizer={name='Muon', lr=5e-3, momentum=0.9}"],
    "class weights, smoothing": ["loss={label_smoothing=0.1, class_weights='balanced'}"],
    "mixed batches": [
        "data.train_transforms=[{name='RandomCrop',size=8,padding=1},"
        "{name='RandomChoice',transforms=[{name='MixUp',alpha=0.2},{name='CutMix'}]}]",
        "training.accumulate=2",
    ],
    "exact shards": ["parallel.exact_shards=4"],
    "batch norm, momentum": [
        "model={name='cnn',channels=[4],convolutions=1}",
        "optimizer={name='SGD',lr=0.05,momentum=0.9}",
    ],
}


@pytest.fixture
def _every_save_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_every_save(monkeypatch)


def whole_run(root: Path, *overrides: str) -> Path:
    return train(root, "checkpoint.every_steps=1", *overrides)


def wrong_after(reference: Path, resumed: Path) -> list[str]:
    wrong = differences(state_of(reference), state_of(resumed))
    return [*wrong, *(["history"] if history_of(reference) != history_of(resumed) else [])]


@pytest.mark.usefixtures("_every_save_is_kept")
@pytest.mark.parametrize("overrides", SETTINGS.values(), ids=SETTINGS)
def test_going_on_from_a_kept_checkpoint_ends_bit_identical(overrides: list[str], tmp_path: Path) -> None:
    reference = whole_run(tmp_path / "whole", *overrides)
    last = max(event["step"] for event in events_of(reference, "saved"))
    steps = range(1, last, 2) if is_full_campaign() else (1, last // 2, last - 1)
    for file in (f"step-{step:09d}.pt" for step in steps):
        resumed = resume_copy(reference, tmp_path / file, file)
        assert wrong_after(reference, resumed) == [], file
        assert events_of(resumed, "resumed_from")[-1]["exact"] is True
    assert last > 3


@pytest.mark.usefixtures("_every_save_is_kept")
def test_a_users_model_that_draws_from_python_and_numpy_is_gone_on_with_exactly(tmp_path: Path) -> None:
    body = "import random, numpy\nreturn self.fc(x.flatten(1)) * (random.random() + numpy.random.random())"
    reference = whole_run(tmp_path / "whole", f"model={{name='{write_model(tmp_path, body)}'}}")
    for file in ("step-000000003.pt", "step-000000005.pt"):
        assert wrong_after(reference, resume_copy(reference, tmp_path / file, file)) == []


@pytest.mark.usefixtures("_every_save_is_kept")
@pytest.mark.parametrize(("forgotten", "draw"), [("python", "random.random()"), ("numpy", "numpy.random.random()")])
def test_a_generator_that_is_forgotten_shows(
    forgotten: str, draw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_model(tmp_path, f"import random, numpy\nreturn self.fc(x.flatten(1)) * {draw}")
    reference = whole_run(tmp_path / "whole", f"model={{name='{spec}'}}")
    file = "step-000000002.pt"
    assert wrong_after(reference, resume_copy(reference, tmp_path / "right", file)) == []
    monkeypatch.setattr(
        "torchdeck.engine.training.state.restore_python_randomness",
        lambda saved: restore_python_randomness({**saved, forgotten: capture_python_randomness()[forgotten]}),
    )
    assert "model_state_dict" in wrong_after(reference, resume_copy(reference, tmp_path / "wrong", file))


@pytest.mark.usefixtures("_every_save_is_kept")
def test_a_callbacks_state_that_is_forgotten_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "callback.py").write_text(CALLBACK, encoding="utf-8")
    reference = whole_run(tmp_path / "whole", f"callbacks=['{tmp_path}/callback.py:Counter']")
    file = "step-000000002.pt"
    assert wrong_after(reference, resume_copy(reference, tmp_path / "right", file)) == []
    monkeypatch.setattr(Callbacks, "load_state_dict", lambda callbacks, state: None)
    assert wrong_after(reference, resume_copy(reference, tmp_path / "wrong", file)) == ["callbacks"]


def forget_seeding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepRandomness, "seed_step", lambda randomness, step, rank=0: None)


def forget_part(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A resume that leaves one part of the checkpoint out."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        restore = RunState.restore

        def restore_without(state: RunState, checkpoint: dict[str, Any], **which: bool) -> None:
            restore(state, checkpoint, **{**which, name: False})

        monkeypatch.setattr(RunState, "restore", restore_without)

    return plant


def forget_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Schedule.load_state_dict
    monkeypatch.setattr(Schedule, "load_state_dict", lambda schedule, state: load(schedule, {**state, "step": 0}))


def change_position(**wrong: int) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        restore = RunState.restore

        def restore_elsewhere(state: RunState, checkpoint: dict[str, Any], **which: bool) -> None:
            restore(state, checkpoint, **which)
            state.position = Position(**{**checkpoint["position"], **wrong})

        monkeypatch.setattr(RunState, "restore", restore_elsewhere)

    return plant


def change_checkpoint(**wrong: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """A resume from a checkpoint of which a part is another."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        restore = RunState.restore

        def restore_wrong(state: RunState, checkpoint: dict[str, Any], **which: bool) -> None:
            restore(state, {**checkpoint, **wrong}, **which)

        monkeypatch.setattr(RunState, "restore", restore_wrong)

    return plant


def forget_average(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AveragedWeights, "load_state_dict", lambda averages, state, updates: averages.restart())


def forget_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EarlyStopping, "load_state", lambda stopping, state: None)


AVERAGE = "average, evaluation between epochs, patience"


def forget_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.amp.GradScaler, "load_state_dict", lambda scaler, state: None)


@pytest.mark.usefixtures("_every_save_is_kept")
@pytest.mark.parametrize(
    ("plant", "setting"),
    [
        pytest.param(forget_seeding, "plain", id="random generators"),
        pytest.param(forget_part("with_optimizer"), "plain", id="optimizer state"),
        pytest.param(forget_part("with_schedule"), "one cycle", id="schedule state"),
        pytest.param(forget_warm_up, "accumulation and warm-up", id="position in the warm-up"),
        pytest.param(change_position(step_in_epoch=0), "plain", id="position in the epoch"),
        pytest.param(change_position(step=0), "plain", id="step number"),
        pytest.param(change_position(epoch=1), "plain", id="epoch"),
        pytest.param(change_checkpoint(totals=asdict(Totals())), "plain", id="sums of the epoch"),
        pytest.param(change_checkpoint(best=asdict(Best("accuracy", 1.0))), AVERAGE, id="best so far"),
        pytest.param(change_checkpoint(evaluated_step=0), AVERAGE, id="last evaluation"),
        pytest.param(forget_scale, "fp16", id="gradient scale"),
        pytest.param(forget_average, AVERAGE, id="average of the weights"),
        pytest.param(change_checkpoint(ema_updates=0), AVERAGE, id="updates of the average"),
        pytest.param(forget_patience, AVERAGE, id="patience"),
    ],
)
def test_a_part_of_the_state_that_is_forgotten_shows(
    plant: Callable[[pytest.MonkeyPatch], None], setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*SETTINGS[setting], *(["training.epochs=3"] if setting != AVERAGE else [])]
    if setting == "fp16":
        # A scale that was lowered in the first steps, as by gradients that overflowed.
        scaler = torch.amp.GradScaler
        original = scaler.__init__
        with monkeypatch.context() as patched:
            patched.setattr(
                scaler,
                "__init__",
                lambda self, device, **keywords: original(self, device, init_scale=1024.0, **keywords),
            )
            reference = whole_run(tmp_path / "whole", *overrides)
    else:
        reference = whole_run(tmp_path / "whole", *overrides)
    file = "step-000000003.pt" if setting == AVERAGE else "step-000000002.pt"
    assert wrong_after(reference, resume_copy(reference, tmp_path / "right", file)) == []
    plant(monkeypatch)
    assert wrong_after(reference, resume_copy(reference, tmp_path / "wrong", file)) != []


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    first, second = train(tmp_path / "1"), train(tmp_path / "2")
    assert wrong_after(first, second) == []
    assert "model_state_dict" in wrong_after(first, train(tmp_path / "3", "seed=6"))


@pytest.mark.usefixtures("_every_save_is_kept")
def test_workers_change_no_bit_of_a_resumed_run(tmp_path: Path) -> None:
    reference = whole_run(tmp_path / "0", "data.storage=loader", "training.epochs=1")
    resumed = resume_copy(reference, tmp_path / "2", "step-000000002.pt", ["loader.num_workers=2"])
    assert wrong_after(reference, resumed) == []
    assert events_of(resumed, "resumed_from")[0]["exact"] is True
    back = resume_copy(resumed, tmp_path / "back", "step-000000004.pt", ["loader.num_workers=0"])
    assert wrong_after(reference, back) == []
    assert events_of(back, "resumed_from")[-1]["exact"] is True


@pytest.mark.usefixtures("_every_save_is_kept")
def test_more_epochs_stretch_a_schedule_that_spans_the_run(tmp_path: Path) -> None:
    cosine = ["schedule.name=CosineAnnealingLR", "schedule.warmup_epochs=0.4"]
    longer = ["training.epochs=4"]
    short = train(tmp_path / "short", *cosine)
    resumed = resume_copy(short, tmp_path / "resumed", overrides=longer)
    _, expected = reader_of(train(tmp_path / "long", *cosine, *longer)).series("lr")
    _, rates = reader_of(resumed).series("lr")
    assert list(rates[10:]) == pytest.approx(list(expected[10:]))
    assert list(rates[:5]) != pytest.approx(list(expected[:5]))
    (event,) = events_of(resumed, "resumed_from")
    assert event["exact"] is False
    assert event["not_exact_because"] == ["training.epochs: 2 → 4"]


def test_more_epochs_of_a_schedule_without_an_end_are_exact(tmp_path: Path) -> None:
    step = ["schedule={name='StepLR',step_size=3}"]
    resumed = resume_copy(train(tmp_path / "short", *step), tmp_path / "resumed", overrides=["training.epochs=3"])
    reference = train(tmp_path / "long", *step, "training.epochs=3")
    assert wrong_after(reference, resumed) == []
    assert events_of(resumed, "resumed_from")[0]["exact"] is True


@pytest.mark.usefixtures("_every_save_is_kept")
@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        ([], 0.1),
        (["schedule.name=OneCycleLR"], 0.1),
        (["schedule={name='ReduceLROnPlateau',interval='epoch',patience=9}"], 0.1),
    ],
    ids=["constant", "one cycle", "plateau"],
)
def test_another_learning_rate_holds_from_the_resume_on(schedule: list[str], factor: float, tmp_path: Path) -> None:
    reference = whole_run(tmp_path / "whole", *schedule)
    resumed = resume_copy(reference, tmp_path / "resumed", "step-000000003.pt", [f"optimizer.lr={5e-3 * factor}"])
    _, before = reader_of(reference).series("lr")
    _, after = reader_of(resumed).series("lr")
    assert list(after[:3]) == list(before[:3])
    assert list(after[3:]) == pytest.approx([rate * factor for rate in before[3:]])
    (event,) = events_of(resumed, "resumed_from")
    assert event["not_exact_because"] == ["optimizer.lr: 0.005 → 0.0005"]


@pytest.mark.usefixtures("_every_save_is_kept")
@pytest.mark.parametrize(
    "changed",
    ["optimizer.weight_decay=5.0", "training.clip_norm=0.001", "loss.label_smoothing=0.5", "model.dropout=0.9"],
)
def test_a_changed_setting_has_an_effect_and_is_said(changed: str, tmp_path: Path) -> None:
    reference = whole_run(tmp_path / "whole", "training.epochs=1", "optimizer.weight_decay=0.0")
    resumed = resume_copy(reference, tmp_path / "resumed", "step-000000002.pt", [changed])
    other = weights_of(reference)
    assert any(not torch.equal(tensor, other[name]) for name, tensor in weights_of(resumed).items())
    key, _, value = changed.partition("=")
    (event,) = events_of(resumed, "resumed_from")
    assert [reason for reason in event["not_exact_because"] if reason.startswith(key) and reason.endswith(value)]


def test_another_optimizer_starts_fresh_and_is_said(tmp_path: Path) -> None:
    reference = train(tmp_path / "whole", "training.epochs=1")
    resumed = resume_copy(
        reference, tmp_path / "resumed", overrides=["training.epochs=2", "optimizer={name='SGD',lr=0.02}"]
    )
    _, rates = reader_of(resumed).series("lr")
    assert list(rates[5:]) == [0.02] * 5
    (event,) = events_of(resumed, "resumed_from")
    assert "optimizer.name: AdamW → SGD" in event["not_exact_because"]


@pytest.mark.usefixtures("_every_save_is_kept")
def test_larger_batches_go_on_behind_the_samples_already_seen(tmp_path: Path) -> None:
    reference = whole_run(tmp_path / "whole", "training.epochs=1", "loader.batch_size=64")
    resumed = resume_copy(reference, tmp_path / "resumed", "step-000000004.pt", ["loader.batch_size=128"])
    assert reader_of(reference).epoch_records()[0]["step"] == 9
    assert reader_of(resumed).epoch_records()[0]["step"] == 4 + 3, "two of five larger batches were seen"


def test_another_model_than_the_checkpoints_is_refused_and_the_run_left_as_it_was(tmp_path: Path) -> None:
    reference = train(tmp_path / "whole", "training.epochs=1")
    before = {file: file.read_bytes() for file in reference.rglob("*") if file.is_file()}
    run = ended(launch_resumed(reference, overrides=["training.epochs=2", "model.hidden=[8]"]))
    assert isinstance(run.error, CheckpointError)
    for words in ("step-000000005.pt does not fit the model", "1.weight (16×64 in the file, 8×64 here)"):
        assert words in str(run.error)
    assert {file: file.read_bytes() for file in reference.rglob("*") if file.is_file()} == before


def test_a_users_file_that_was_edited_is_named(tmp_path: Path) -> None:
    spec = write_model(tmp_path, "return self.fc(x.flatten(1))")
    reference = train(tmp_path / "whole", f"model={{name='{spec}'}}", "training.epochs=1")
    longer = ["training.epochs=2"]
    (same,) = events_of(resume_copy(reference, tmp_path / "same", overrides=longer), "resumed_from")
    assert same["exact"] is True
    write_model(tmp_path, "return self.fc(x.flatten(1)).tanh()")
    (edited,) = events_of(resume_copy(reference, tmp_path / "edited", overrides=longer), "resumed_from")
    (reason,) = edited["not_exact_because"]
    assert re.fullmatch(r"your own code: model.py \w{8} → model.py \w{8}", reason)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ('model.freeze=["0", "1"]', "start a new run with model.weights"),
        ("optimizer.amsgrad=true", "optimizer.amsgrad can't be changed in a resume"),
    ],
)
def test_a_setting_the_optimizers_state_has_no_room_for_is_refused_and_the_run_left_as_it_was(
    override: str, expected: str, tmp_path: Path
) -> None:
    path = train(tmp_path / "whole", "training.epochs=1")
    before = (path / "run.toml").read_bytes()
    run = ended(launch_resumed(path, overrides=["training.epochs=3", override]))
    assert expected in str(run.error)
    assert (path / "run.toml").read_bytes() == before
    assert not list(path.glob("run.*.toml"))


@pytest.mark.usefixtures("_every_save_is_kept")
@pytest.mark.parametrize("tier", ["mmap", "encoded"])
def test_files_on_disk_are_gone_on_with_exactly(tier: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(30):
        file = tmp_path / "images" / "ab"[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (14, 20, 3), dtype=np.uint8)).save(file)
    reference = whole_run(
        tmp_path / "whole",
        f"data={{dataset='{tmp_path}/images',storage='{tier}',cache='{tmp_path}/cache',validation=0.3,"
        "train_transforms=[{name='RandomResizedCrop',size=8},{name='RandomHorizontalFlip'}],"
        "eval_transforms=[{name='Resize',size=[8,8]}]}",
        "loader.batch_size=8",
    )
    assert bool(list((tmp_path / "cache").glob("*.npy"))) == (tier == "mmap")
    file = "step-000000002.pt"
    assert wrong_after(reference, resume_copy(reference, tmp_path / file, file)) == []
