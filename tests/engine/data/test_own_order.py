"""Weights, subsets and batches of the user's own: what they draw, that they resume, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import CPU, component, no_progress, run_config
from pydantic import ValidationError

from torchdeck.engine.config import LoaderConfig, RunConfig
from torchdeck.engine.data.exploration.batch_at_step import batches_at
from torchdeck.engine.data.loading.bad_files import open_usable
from torchdeck.engine.data.loading.batch_loader import BatchLoader
from torchdeck.engine.data.loading.loaders import num_train_batches, train_loader
from torchdeck.engine.data.loading.sampling import EpochSampler
from torchdeck.engine.errors import ConfigError, UserCodeError
from torchdeck.engine.launching.absolute_paths import with_absolute_paths

FUNCTIONS = """
import numpy as np

def rare_first(targets):
    return np.where(np.asarray(targets) == 3, 8.0, 1.0)

def negative(targets):
    return -np.ones(len(targets))

def pairs(num_samples, epoch, seed):
    order = np.random.default_rng([seed, epoch]).permutation(num_samples)
    return [order[start : start + 2 + number % 3] for number, start in enumerate(range(0, 60, 6))]

def fewer(epoch):
    return [[0]] * (5 - epoch)

def beyond(num_samples):
    return [[0, num_samples]]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    return f"{tmp_path}/mine.py"


def digits(loader: dict[str, Any], **data: Any) -> RunConfig:
    return run_config(dataset="digits", validation=0.2, loader=loader, **data)


def loader_of(config: RunConfig) -> BatchLoader:
    return train_loader(open_usable(config, no_progress)[0], config, CPU, no_progress)


def targets_of(config: RunConfig, epoch: int = 0) -> torch.Tensor:
    return torch.cat([targets for _, targets in loader_of(config).batches(epoch)])


def test_weighted_draws_follow_the_weights() -> None:
    weights = np.array([0.0, 1.0, 3.0, 0.0, 6.0, 0.0])
    order = EpochSampler("weighted", 6, 60_000, 0, weights=weights).order(0)
    assert order is not None
    counts = np.bincount(order.samples.numpy(), minlength=6)
    expected = 60_000 * weights / weights.sum()
    assert (counts[weights == 0] == 0).all()
    assert (((counts - expected) ** 2)[weights > 0] / expected[weights > 0]).sum() < 20


def test_weights_come_from_a_function_or_a_file(file: str, tmp_path: Path) -> None:
    drawn = targets_of(digits({"sampler": "weighted", "weights": f"{file}:rare_first", "num_samples": 4000}))
    assert 0.4 < (drawn == 3).float().mean() < 0.55
    np.save(tmp_path / "weights.npy", np.arange(1797) % 2)
    config = digits({"sampler": "weighted", "weights": str(tmp_path / "weights.npy"), "batch_size": 50})
    assert all(sample.index % 2 == 1 for sample in batches_at(config, 3)[0].samples)


@pytest.mark.parametrize("storage", ["memory", "loader"])
def test_weighted_epochs_go_on_anywhere(file: str, storage: str) -> None:
    options = {"sampler": "weighted", "weights": f"{file}:rare_first", "batch_size": 100}
    config = digits(options, storage=storage, train_transforms=[component("RandomCrop", size=8, padding=1)])
    through = list(loader_of(config).batches(1))
    again = list(loader_of(config).batches(1, 9))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(again, through[9:], strict=True))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{file}:negative", "weights must be finite and non-negative"),
        ("{folder}/short.npy", r"has weights of shape \[3\] for 1,438 training samples"),
        ("{folder}/none.npy", "no such file"),
        ("{file}:rare_frist", "did you mean 'rare_first'"),
    ],
)
def test_weights_that_can_not_be_used_are_refused(weights: str, message: str, file: str, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.ones(3))
    spec = weights.format(file=file, folder=tmp_path)
    with pytest.raises(ConfigError, match=message):
        loader_of(digits({"sampler": "weighted", "weights": spec}))


@pytest.mark.parametrize(("subset", "count"), [("0.1", 144), ("500", 500)])
def test_a_subset_is_a_share_of_every_class_or_a_number(subset: str, count: int) -> None:
    sources, _ = open_usable(digits({"subset": subset}), no_progress)
    whole, _ = open_usable(digits({}), no_progress)
    assert abs(len(sources.train) - count) <= 5 and len(sources.validation) == len(whole.validation)
    assert sources.train.indices is not None and whole.train.indices is not None
    assert set(sources.train.indices) <= set(whole.train.indices)
    assert sources.fingerprint != whole.fingerprint
    assert len(targets_of(digits({"subset": subset}))) == len(sources.train)


def test_a_subset_is_a_file_of_indices(tmp_path: Path) -> None:
    (tmp_path / "chosen.txt").write_text("\n".join(map(str, range(100, 200))))
    sources, _ = open_usable(digits({"subset": f"{tmp_path}/chosen.txt"}), no_progress)
    whole, _ = open_usable(digits({}), no_progress)
    assert sources.train.indices is not None and whole.train.indices is not None
    assert sources.train.indices.tolist() == [index for index in whole.train.indices if 100 <= index < 200]


@pytest.mark.parametrize("subset", ["0", "-3", "1439", "2.5", "nothing.txt", "{folder}/beyond.txt"])
def test_a_subset_that_there_is_not_is_refused(subset: str, tmp_path: Path) -> None:
    (tmp_path / "beyond.txt").write_text("3\n1797\n")
    with pytest.raises(ConfigError, match=r"loader.subset = '.*: (must be a fraction|no such file|has index 1797)"):
        open_usable(digits({"subset": subset.format(folder=tmp_path)}), no_progress)


def test_batches_of_the_users_own_are_taken_as_they_are_and_go_on_anywhere(file: str) -> None:
    config = digits({"batch_sampler": f"{file}:pairs"}, train_transforms=[component("RandomCrop", size=8, padding=1)])
    loader = loader_of(config)
    through = list(loader.batches(2))
    assert [len(targets) for _, targets in through] == [2, 3, 4, 2, 3, 4, 2, 3, 4, 2]
    assert (loader.num_batches, num_train_batches(open_usable(config, no_progress)[0], config)) == (10, 10)
    again = list(loader_of(config).batches(2, 7))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(again, through[7:], strict=True))
    (seen,) = batches_at(config, 2 * 10 + 8)
    assert [sample.target for sample in seen.samples] == [str(target) for target in through[7][1].tolist()]


def test_batches_that_can_not_be_are_named(file: str) -> None:
    loader = loader_of(digits({"batch_sampler": f"{file}:fewer"}))
    with pytest.raises(UserCodeError, match="returned 4 batches for epoch 1 and 5 for epoch 0"):
        list(loader.batches(1))
    with pytest.raises(UserCodeError, match=r"batch 0 of epoch 0 has position 1438, but the split has 1,438 samples"):
        loader_of(digits({"batch_sampler": f"{file}:beyond"}))
    with pytest.raises(ConfigError, match=r'data.storage = "memory": loader.batch_sampler needs the DataLoader'):
        loader_of(digits({"batch_sampler": f"{file}:pairs"}, storage="memory"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "weighted"}, 'sampler = "weighted" needs weights'),
        ({"weights": "w.npy"}, 'sampler = "weighted" needs weights'),
        ({"sampler": "weighted", "weights": "w.npy", "shuffle": False}, "shuffle = false forbids"),
        (
            {"batch_sampler": "m.py:f", "drop_last": True},
            "drop_last has no effect when batch_sampler makes the batches",
        ),
        ({"batch_sampler": "m.py:f", "sampler": "balanced"}, "sampler has no effect"),
    ],
)
def test_contradictions_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LoaderConfig(**options)


def test_a_run_s_own_files_are_found_from_any_folder(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chosen.txt").write_text("1\n")
    loader = with_absolute_paths(digits({"subset": "chosen.txt", "batch_sampler": "mine.py:pairs"})).loader
    assert (loader.subset, loader.batch_sampler) == (f"{tmp_path}/chosen.txt", f"{file}:pairs")
    assert with_absolute_paths(digits({"subset": "0.5"})).loader.subset == "0.5"
