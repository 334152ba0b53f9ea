import pytest
import torch
from training_cases import case, placement

from torchdeck.engine.config.changed_settings import changed_settings
from torchdeck.engine.training.environment import Conditions, describe_environment, inexact_because


def reasons(*changes: str, **environment: object) -> list[str]:
    saved = describe_environment(case(), placement())
    now = {**describe_environment(case(*changes), placement(*changes)), **environment}
    return inexact_because(Conditions(case(), saved, "data"), Conditions(case(*changes), now, "data"))


def test_nothing_changed_is_exact() -> None:
    assert reasons() == []


@pytest.mark.parametrize(
    "change",
    [
        "name=other",
        "data.root=/elsewhere",
        "loader.num_workers=2",
        "loader.eval_batch_size=10",
        "checkpoint.every_steps=3",
        "checkpoint.best_metric=loss",
        "training.epochs=9",
    ],
)
def test_settings_that_compute_the_same_are_exact(change: str) -> None:
    assert reasons(change) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("seed=6", "seed: 5 → 6"),
        ("loader.batch_size=64", "loader.batch_size: 128 → 64"),
        ("model.hidden=[8]", "model.hidden: [16] → [8]"),
        ("optimizer.weight_decay=0.5", "optimizer.weight_decay: None → 0.5"),
        ("loss.label_smoothing=0.1", "loss.label_smoothing: 0.0 → 0.1"),
        ("training.accumulate=2", "training.accumulate: 1 → 2"),
        ("training.precision=bf16", "precision: fp32 → bf16"),
        ("training.compile=true", "compilation: off → default"),
        ("training.channels_last=true", "memory format: False → True"),
        ("training.num_threads=2", "torch's CPU threads: 1 → 2"),
    ],
)
def test_settings_that_compute_something_else_are_named_with_both_values(change: str, reason: str) -> None:
    assert reasons(change) == [reason]


def test_other_software_and_hardware_is_named() -> None:
    found = reasons(torch="9.9", device="cuda", gpu="H100")
    assert found == [
        f"torch: {torch.__version__} → 9.9",
        "device: cpu → cuda",
        "GPU:  → H100",
        "training.deterministic is off: GPU kernels may add in a different order",
    ]


def test_a_mode_that_times_kernels_is_never_exact() -> None:
    tuned = case("training.compile=true", "training.compile_mode=max-autotune")
    saved = describe_environment(tuned, placement())
    (reason,) = inexact_because(Conditions(tuned, saved, "data"), Conditions(tuned, saved, "data"))
    assert "times kernels whenever a run starts" in reason


def test_other_data_are_named() -> None:
    saved = describe_environment(case(), placement())
    (reason,) = inexact_because(Conditions(case(), saved, "one"), Conditions(case(), saved, "two"))
    assert reason.startswith("the data: ")


@pytest.mark.parametrize(
    ("schedule", "is_stretched"),
    [
        ("{name='CosineAnnealingLR'}", True),
        ("{name='OneCycleLR'}", True),
        ("{name='CosineAnnealingLR',T_max=50}", False),
        ("{name='StepLR',step_size=3}", False),
        ("{name='ReduceLROnPlateau',interval='epoch'}", False),
        ("{name='constant'}", False),
    ],
)
def test_more_epochs_are_exact_unless_the_schedule_is_stretched_over_them(schedule: str, is_stretched: bool) -> None:
    before, after = (case(f"schedule={schedule}", f"training.epochs={epochs}") for epochs in (2, 4))
    environment = describe_environment(before, placement())
    found = inexact_because(Conditions(before, environment, "data"), Conditions(after, environment, "data"))
    assert found == (["training.epochs: 2 → 4"] if is_stretched else [])


def test_changed_settings_are_dotted_keys_with_both_values() -> None:
    changed = changed_settings(case(), case("optimizer.lr=1.0", "model.freeze=['1']"))
    assert changed == {"optimizer.lr": (5e-3, 1.0), "model.freeze": ([], ["1"])}
