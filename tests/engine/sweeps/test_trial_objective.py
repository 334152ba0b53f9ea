import math
from pathlib import Path

import pytest
from sweep_cases import definition

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.sweeps.objective import Constraint, Objective, values_of


def objectives(tmp_path: Path, sweep: str = "", *overrides: str) -> list[tuple[str, str]]:
    return [(each.name, each.direction) for each in definition(tmp_path, sweep, *overrides).objectives]


def test_each_metric_knows_which_way_it_is_better(tmp_path: Path) -> None:
    assert objectives(tmp_path, 'metric = ["macro_f1", "loss", "parameters"]') == [
        ("macro_f1", "maximize"),
        ("loss", "minimize"),
        ("parameters", "minimize"),
    ]
    assert objectives(tmp_path, 'metric = ["-accuracy", "+memory"]') == [
        ("accuracy", "minimize"),
        ("memory", "maximize"),
    ]


def test_without_a_metric_it_is_the_one_that_picks_the_best_epoch(tmp_path: Path) -> None:
    assert objectives(tmp_path) == [("accuracy", "maximize")]
    assert objectives(tmp_path, "", "loss.name=mse") == [("loss", "minimize")]
    assert objectives(tmp_path, "", "checkpoint.best_metric=macro_f1") == [("macro_f1", "maximize")]
    with pytest.raises(ConfigError, match=r"loss\.py:focal leaves open what the targets are; name a metric"):
        objectives(tmp_path, "", "loss.name=loss.py:focal")


def test_a_metric_of_ones_own_has_to_say_which_way_it_is_better(tmp_path: Path) -> None:
    own = 'evaluation.metrics=[{ name = "dice.py:Dice", mode = "max" }, { name = "dice.py:Cost" }]'
    assert objectives(tmp_path, 'metric = "dice"', own) == [("dice", "maximize")]
    assert objectives(tmp_path, 'metric = "-cost"', own) == [("cost", "minimize")]
    with pytest.raises(ConfigError, match=r"which way is it better\? Write '\+cost' to maximize, '-cost' to minimize"):
        objectives(tmp_path, 'metric = "cost"', own)


@pytest.mark.parametrize(
    ("operator", "value", "is_met"),
    [("<", 2.0, False), ("<=", 2.0, True), (">", 2.0, False), (">=", 2.0, True), ("<", 1.9, True), (">", 1.9, False)],
)
def test_a_constraint_is_met_at_its_bound_only_where_it_says_so(operator: str, value: float, is_met: bool) -> None:
    assert (Constraint("loss", operator, 2.0).excess(value) <= 0) is is_met


def test_a_figure_that_is_not_finite_is_no_result() -> None:
    wanted = [Objective("accuracy", "maximize"), Objective("loss", "minimize")]
    assert values_of(wanted, {"accuracy": 0.5, "loss": 0.25}) == [0.5, 0.25]
    assert values_of(wanted, {"accuracy": 0.5, "loss": math.nan}) == "no finite value of loss was measured"
    assert values_of(wanted, {}) == "no finite value of accuracy, loss was measured"
