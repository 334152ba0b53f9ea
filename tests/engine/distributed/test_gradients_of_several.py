"""Gradients of several processes are those of the whole batch."""

from pathlib import Path

import pytest
from several_processes import MLP, alone, ended, several, weights_of

# With a learning rate of 1 and one step, weights differ by what the gradients differ by.
ONE_STEP = (
    *MLP,
    "optimizer={name='SGD',lr=1.0}",
    "schedule={name='constant'}",
    "training.epochs=1",
    # The last batch is divided unevenly.
    "loader.subset=71",
    "loader.batch_size=72",
)


@pytest.mark.parametrize(
    "settings", [(), ("loss.class_weights='balanced'",), ("training.accumulate=2", "loader.batch_size=36")]
)
def test_gradients_of_two_processes_differ_from_those_of_one_by_rounding(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    one = alone(tmp_path / "one", *ONE_STEP, *settings)
    two = ended(several(tmp_path / "two", 2, *ONE_STEP, *settings))
    assert one.progress().step == two.progress().step == 1
    weights = weights_of(two)
    assert max(float((weights[name] - weight).abs().max()) for name, weight in weights_of(one).items()) <= 5e-7
