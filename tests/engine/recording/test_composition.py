"""What another program's loop logs becomes records that torchdeck's readers know."""

import math
from typing import Any

from torchdeck.engine.recording.composition import Composition, Entry
from torchdeck.engine.runs.on_disk.series import Curves


def entry(step: Any = None, epoch: Any = None, at: float = 0.0, **values: Any) -> Entry:
    return Entry(step, epoch, at, values)


def curves_of(*entries: Entry, composition: Composition | None = None) -> Curves:
    curves = Curves()
    for record in (composition or Composition(0.0)).records(entries):
        assert curves.add(dict(record))
    return curves


def points(curves: Curves, name: str) -> list[tuple[float, float]]:
    x, y = curves.points(name)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def test_entries_of_the_same_names_are_one_record() -> None:
    records = Composition(0.0).records([entry(loss=1.0, lr=0.1), entry(loss=0.5, lr=0.1), entry(grad_norm=3)])
    assert [record["kind"] for record in records] == ["log", "log"]
    assert records[0]["step"] == [1, 2]


def test_calls_without_a_step_are_counted_and_an_evaluation_is_none_of_them() -> None:
    curves = curves_of(entry(loss=1), entry(loss=0.5), entry(val_loss=0.7), entry(loss=0.25))
    assert points(curves, "train/loss") == [(1, 1), (2, 0.5), (3, 0.25)]
    assert points(curves, "validation/loss") == [(2, 0.7)]


def test_a_step_that_is_given_is_the_step() -> None:
    assert points(curves_of(entry(100, loss=1), entry(200, loss=0.5)), "train/loss") == [(100, 1), (200, 0.5)]


def test_a_step_before_the_newest_is_left_out_and_said_once() -> None:
    composition = Composition(0.0)
    curves = curves_of(entry(5, loss=1), entry(3, loss=9), entry(4, loss=9), entry(6, loss=2), composition=composition)
    assert points(curves, "train/loss") == [(5, 1), (6, 2)]
    assert composition.problems == ["step 3 was logged after step 5: steps must not decrease; left out"]


def test_an_evaluation_with_an_epoch_is_a_line_of_the_table_with_the_means_of_its_steps() -> None:
    curves = curves_of(entry(loss=1, at=1), entry(loss=3, at=2), entry(epoch=1, val_loss=2, val_acc=0.5, at=5))
    (epoch,) = curves.epochs
    assert (epoch["epoch"], epoch["step"], epoch["seconds"]) == (1, 2, 5)
    assert epoch["train"] == {"loss": 2}
    assert epoch["validation"] == {"loss": 2, "accuracy": 0.5}
    assert math.isnan(epoch["lr"])


def test_the_best_evaluation_is_the_one_of_the_best_score() -> None:
    curves = curves_of(*(entry(val_acc=value, val_loss=1) for value in (0.5, 0.7, 0.6, math.nan)))
    assert [record["is_best"] for record in curves.evaluations] == [True, True, False, False]
    assert curves.evaluations[1]["rated"] == {"metric": "accuracy", "value": 0.7}


def test_the_user_says_what_is_best() -> None:
    composition = Composition(0.0, "cost", larger=True)
    curves = curves_of(entry(val_cost=1), entry(val_cost=2), composition=composition)
    assert [record["is_best"] for record in curves.evaluations] == [True, True]


def test_figures_in_a_table_have_both_names() -> None:
    curves = curves_of(entry(train={"loss": 1.0}, val={"loss": 2.0}))
    assert points(curves, "train/loss") == [(1, 1)]
    assert points(curves, "validation/loss") == [(1, 2)]


def test_what_is_not_a_number_is_said_and_the_rest_is_recorded() -> None:
    composition = Composition(0.0)
    curves = curves_of(entry(loss=1, picture="cat.png", list=[1, 2]), composition=composition)
    assert points(curves, "train/loss") == [(1, 1)]
    assert composition.problems[0] == "picture: 'cat.png' is text"
    assert composition.problems[1].startswith("list: list: ")


def test_names_without_end_are_bounded() -> None:
    composition = Composition(0.0)
    curves = curves_of(*(entry(**{f"name{number}": number}) for number in range(3000)), composition=composition)
    assert sum(len(curves.points(name)[0]) for name in curves.names if name.startswith("train/name")) == 2000
    assert len(composition.problems) == 1


def test_nan_and_infinity_are_figures() -> None:
    (_, first), (_, second) = points(curves_of(entry(loss=math.nan), entry(loss=math.inf)), "train/loss")
    assert math.isnan(first) and second == math.inf
