"""The learning-rate range test: what it finds, and that it leaves everything else as it was."""

import math
import random

import pytest
import torch
from training_cases import case

from torchdeck.engine.errors import ConfigError, RunError
from torchdeck.engine.preflight.lr_range import find_learning_rate, suggest


def test_rates_ascend_over_the_range_and_a_rate_on_the_fall_is_suggested() -> None:
    config = case("model.dropout=0.0", "loader.batch_size=64")
    found = find_learning_rate(config, progress=lambda *_: None, lowest=1e-5, highest=1e3, steps=80)
    assert found.learning_rates[0] == pytest.approx(1e-5)
    assert found.learning_rates == sorted(found.learning_rates)
    assert len(found.learning_rates) == len(found.losses) <= 80
    assert found.diverged
    assert found.learning_rates[0] < found.suggested < found.learning_rates[-1]
    at = found.learning_rates.index(found.suggested)
    assert found.losses[at] < found.losses[0]


def test_the_same_config_gives_the_same_curve_and_no_generator_is_moved() -> None:
    torch.manual_seed(7)
    random.seed(7)
    before, python, threads = torch.get_rng_state(), random.getstate(), torch.get_num_threads()
    first = find_learning_rate(case(), progress=lambda *_: None, steps=12)
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python
    assert torch.get_num_threads() == threads
    again = find_learning_rate(case(), progress=lambda *_: None, steps=12)
    # So short a test suggests nothing: NaN, which equals nothing.
    assert repr(again) == repr(first)


def test_gradients_are_clipped_as_the_run_would_clip_them() -> None:
    def losses(method: str) -> list[float]:
        config = case("training.clip_norm=0.01", f"training.clip_by={method}", "optimizer.name=SGD")
        return find_learning_rate(config, progress=lambda *_: None, lowest=0.1, steps=12).losses

    assert losses("norm") != losses("value")


def test_it_ends_where_its_progress_raises() -> None:
    def progress(message: str, done: int, total: int) -> None:
        if total == 50 and done == 3:
            raise RunError("enough")

    with pytest.raises(RunError, match="enough"):
        find_learning_rate(case(), progress=progress, steps=50)


@pytest.mark.parametrize(("lowest", "highest", "steps"), [(0.0, 1.0, 50), (1.0, 0.1, 50), (1e-5, 1.0, 5)])
def test_a_range_that_is_none_is_refused(lowest: float, highest: float, steps: int) -> None:
    with pytest.raises(ConfigError, match="a range test goes from a rate above 0"):
        find_learning_rate(case(), progress=lambda *_: None, lowest=lowest, highest=highest, steps=steps)


def test_the_suggestion_lies_where_the_loss_falls_fastest_before_its_lowest() -> None:
    rates = [10.0**exponent for exponent in range(-6, 4)]
    assert suggest(rates, [5, 5, 4.9, 4.5, 3, 2.5, 2.4, 6, 1.9, 9]) == rates[4]
    assert suggest(rates, [5, 5, 4.9, 4.5, 3, 2.5, 2.4, 6, 9, 9]) == rates[4]
    assert math.isnan(suggest(rates, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
    assert math.isnan(suggest(rates, [5, 5, 5, 4.99, 5, 5, 5, 5, 9, 10]))
    assert math.isnan(suggest([], []))


def test_windows_that_count_nothing_are_left_out_of_the_curve() -> None:
    weights = ", ".join(["1.0", *["0.0"] * 9])
    config = case(f"loss.class_weights=[{weights}]", "loader.batch_size=2", "model.dropout=0.0")
    found = find_learning_rate(config, progress=lambda *_: None, lowest=1e-7, highest=1e-5, steps=12)
    assert len(found.losses) == 12
    # Nothing is learnt at such rates: each loss is about that of a fresh model, and an empty window's 0 would show.
    assert min(found.losses) > 1.5
    assert found.learning_rates[-1] == pytest.approx(1e-5)
