"""Runs that differ by the seed alone, and whether two groups of them differ."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.browsing import group_comparison
from torchdeck.engine.runs.browsing.group_comparison import compare_groups
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.browsing.seed_groups import SeedGroup, find_group, seed_groups, spread
from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.engine.runs.writer import RunWriter


def written(root: Path, seed: int, accuracy: float, *overrides: str, status: str = "finished") -> Path:
    writer = RunWriter.create(root, load_config("digits", [f"seed={seed}", *overrides]), {})
    writer.update_state(
        epoch=1,
        metrics={"accuracy": accuracy, "loss": 1 - accuracy},
        best={"metric": "accuracy", "value": accuracy, "epoch": 1, "step": 23},
    )
    writer.close("finished" if status == "finished" else "failed", None if status == "finished" else "no memory")
    return writer.path


def group(values: Sequence[float], first_seed: int = 0, metric: str = "accuracy") -> SeedGroup:
    runs = [
        RunSummary(f"run-{seed}", Path(f"run-{seed}"), "finished", 1, 1, 1, {}, _best(metric, value))
        for seed, value in enumerate(values, start=first_seed)
    ]
    return SeedGroup(tuple(runs), tuple(range(first_seed, first_seed + len(values))))


def _best(metric: str, value: float) -> dict[str, object]:
    return {"metric": metric, "value": value, "epoch": 1, "step": 1}


def test_runs_that_differ_by_name_notification_and_seed_alone_are_a_group(tmp_path: Path) -> None:
    for seed, accuracy in ((0, 0.9), (1, 0.92), (2, 0.94)):
        written(tmp_path, seed, accuracy, f"name=run-s{seed}", f"notify.after_minutes={seed + 1}")
    other = written(tmp_path, 0, 0.5, "optimizer.lr=0.5")
    catalog = RunCatalog(tmp_path)
    groups = {len(each.runs): each for each in seed_groups(catalog.look(), catalog.settings)}
    assert groups.keys() == {1, 3}
    best = groups[3].best()
    assert best is not None and (best.mean, best.n) == (pytest.approx(0.92), 3)
    assert best.std == pytest.approx(0.02)
    assert groups[3].metrics()["loss"].mean == pytest.approx(0.08)
    assert groups[3].summary().best == {"metric": "accuracy", "value": best.mean, "epoch": 1, "step": 23}
    assert [run.path for run in find_group(other).runs] == [other]
    assert find_group(groups[3].runs[0].path).seeds == groups[3].seeds


def test_of_a_seed_that_was_trained_twice_the_one_that_finished_counts(tmp_path: Path) -> None:
    written(tmp_path, 0, 0.9)
    failed = written(tmp_path, 0, 0.1, status="failed")
    written(tmp_path, 1, 0.8)
    found = find_group(failed)
    assert (found.best_values(), len(found.runs)) == ({0: 0.9, 1: 0.8}, 2)


def test_a_single_value_has_no_deviation_and_what_is_not_finite_is_left_out() -> None:
    single = spread([0.5, math.nan])
    assert single is not None and (single.mean, single.n) == (0.5, 1) and math.isnan(single.std)
    assert spread([math.nan]) is None


def test_seeds_that_both_groups_have_are_compared_by_pairs() -> None:
    """What a seed does to both falls out: the groups overlap widely, and yet the second is better each time."""
    first = [0.80, 0.85, 0.90, 0.82, 0.88]
    paired = compare_groups(group(first), group([value + 0.01 + 0.001 * (at % 2) for at, value in enumerate(first)]))
    assert paired is not None and (paired.pairs, paired.is_more_than_noise) == (5, True)
    assert paired.mean == pytest.approx(0.0104) and paired.low > 0
    apart = compare_groups(group(first), group([value + 0.01 for value in first], first_seed=10))
    assert apart is not None and (apart.pairs, apart.is_more_than_noise, apart.is_known) == (0, False, True)


def test_the_direction_of_a_difference_does_not_matter() -> None:
    one, other = group([0.1, 0.11, 0.12, 0.13]), group([0.9, 0.91, 0.93, 0.9])
    for found in (compare_groups(one, other), compare_groups(other, one)):
        assert found is not None and found.is_more_than_noise


def test_too_few_runs_say_nothing() -> None:
    found = compare_groups(group([0.1, 0.2]), group([0.8, 0.9]))
    assert found is not None and not found.is_known and not found.is_more_than_noise
    assert found.document()["more_than_noise"] is None


def test_equal_runs_do_not_differ() -> None:
    found = compare_groups(group([0.5] * 5), group([0.5] * 5))
    assert found is not None and (found.low, found.high, found.is_more_than_noise) == (0, 0, False)


def test_groups_that_are_judged_by_different_metrics_are_not_compared() -> None:
    assert compare_groups(group([0.5] * 4), group([0.5] * 4, metric="loss")) is None
    mixed = group([0.5, 0.6])
    odd = SeedGroup((mixed.runs[0], replace(mixed.runs[1], best=_best("loss", 0.1))), (0, 1))  # type: ignore[arg-type]
    assert odd.best_metric == "" and odd.best() is None


@pytest.mark.parametrize("shares_seeds", [True, False])
def test_groups_that_differ_by_chance_alone_are_seldom_called_different(
    shares_seeds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a level of 5 %; a percentile interval would call a sixth of them different."""
    monkeypatch.setattr(group_comparison, "_RESAMPLES", 400)
    rng = random.Random(1)
    false_alarms = 0
    for _ in range(40):
        one = group([rng.gauss(0.9, 0.01) for _ in range(5)])
        other = group([rng.gauss(0.9, 0.01) for _ in range(5)], first_seed=0 if shares_seeds else 5)
        found = compare_groups(one, other)
        assert found is not None
        false_alarms += found.is_more_than_noise
    assert false_alarms <= 6
