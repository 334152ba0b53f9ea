import pytest

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.config.idle_settings import idle_settings


def idle(*overrides: str) -> dict[str, str]:
    return idle_settings(parse_config("", "test", overrides))


def test_a_setting_says_which_other_one_takes_its_effect() -> None:
    reasons = idle()
    assert reasons["training.compile_mode"] == "compile is off"
    assert reasons["training.clip_by"] == "clip_norm = 0: no clipping"
    assert reasons["ema.warmup"] == "decay = 0: no average"
    assert reasons["schedule.interval"] == "the learning rate is constant"
    assert reasons["early_stopping.min_delta"] == "patience = 0: no early stopping"


def test_it_has_its_effect_when_the_other_one_is_set() -> None:
    reasons = idle(
        "training.compile=true",
        "training.clip_norm=1.0",
        "ema.decay=0.9",
        "schedule.name=ReduceLROnPlateau",
        "early_stopping.patience=3",
        "training.on_nonfinite=rollback",
    )
    assert not {key for key in reasons if key.startswith(("training", "ema", "early_stopping"))}
    assert "schedule.metric" not in reasons
    assert reasons["schedule.interval"] == "ReduceLROnPlateau counts evaluations"


@pytest.mark.parametrize(
    ("overrides", "idle_ones", "busy"),
    [
        ([], {"num_samples", "weights"}, {"shuffle", "sampler", "drop_last"}),
        (["sampler=balanced"], {"shuffle", "weights"}, {"num_samples"}),
        (["sampler=weighted", "weights=w.npy"], {"shuffle"}, {"weights", "num_samples"}),
        (["batch_sampler=m.py:f"], {"sampler", "drop_last", "shuffle"}, set()),
    ],
)
def test_the_sampler_says_which_settings_of_the_loader_it_leaves_without_effect(
    overrides: list[str], idle_ones: set[str], busy: set[str]
) -> None:
    reasons = idle(*(f"loader.{override}" for override in overrides))
    found = {key.removeprefix("loader.") for key in reasons if key.startswith("loader.")}
    assert idle_ones <= found and not busy & found
    if "batch_sampler=m.py:f" in overrides:
        assert reasons["loader.shuffle"] == "batch_sampler makes the batches"


def test_your_own_schedule_may_watch_a_metric() -> None:
    assert not idle("schedule.name=my.py:make", "loss.name=my.py:loss").keys() & {"schedule.metric"}
