import numpy as np
import pytest

from torchdeck.engine.data.datasets.splits import Split, class_names, stratified_split


def test_every_class_keeps_its_share() -> None:
    targets = np.repeat(np.arange(4), [1000, 500, 100, 10])
    train, validation = stratified_split(targets, 0.2, seed=0)
    assert np.bincount(targets[validation]).tolist() == [200, 100, 20, 2]
    assert sorted([*train, *validation]) == list(range(len(targets)))


@pytest.mark.parametrize("share", [0.001, 0.5, 0.9])
def test_a_class_of_two_has_one_on_each_side(share: float) -> None:
    targets = np.array([0, 1, 0, 1, 2])
    train, validation = stratified_split(targets, share, seed=3)
    assert sorted(targets[validation].tolist()) == [0, 1]
    assert sorted(targets[train].tolist()) == [0, 1, 2]


def test_the_choice_is_a_function_of_the_seed() -> None:
    targets = np.arange(1000) % 7
    first, again, other = (stratified_split(targets, 0.3, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_split_knows_where_its_samples_come_from() -> None:
    split = Split([("a", 0), ("b", 1), ("c", 0)], np.array([2, 0]), np.array([0, 0]), "validation")
    assert len(split) == 2
    assert [split.dataset_index(position) for position in range(2)] == [2, 0]


def test_classes_without_names_are_called_by_their_index() -> None:
    assert class_names(np.array([0, 2, 1]), None) == ["0", "1", "2"]
    assert class_names(np.array([0, 1]), ["cat", "dog"]) == ["cat", "dog"]
