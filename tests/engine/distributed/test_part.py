"""Which samples each process takes: together they are the batches of one process, whatever their number."""

import pytest
import torch

from torchdeck.engine.config import ParallelConfig
from torchdeck.engine.config.file import load_config, parse_config
from torchdeck.engine.data.loading.batching import check_divisible, rank_part
from torchdeck.engine.data.loading.sampling import Deal, DealtBatches, EpochSampler
from torchdeck.engine.distributed.part import Part
from torchdeck.engine.errors import ConfigError


@pytest.mark.parametrize(("world", "shards"), [(1, 4), (2, 2), (2, 8), (4, 4), (3, 3)])
@pytest.mark.parametrize("samples", [0, 1, 5, 24, 31])
def test_the_parts_of_a_batch_are_its_rows_in_order(world: int, shards: int, samples: int) -> None:
    parts = [Part(rank, world, shards) for rank in range(world)]
    assert [row for part in parts for row in part.rows(samples)] == list(range(samples))
    sizes = [size for part in parts for size in part.shard_sizes(samples)]
    assert sum(sizes) == samples and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("total", [48, 49, 55, 61])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_n_th_batches_of_all_processes_are_the_n_th_batch_of_one(total: int, drop_last: bool) -> None:
    whole = EpochSampler("shuffled", total, total, 7).order(3)
    assert whole is not None
    dealt = [
        EpochSampler("shuffled", total, total, 7, deal=Deal(Part(rank, 4, 4), 12, drop_last)).order(3)
        for rank in range(4)
    ]
    for number, first in enumerate(range(0, total - (total % 12 if drop_last else 0), 12)):
        parts = [order.samples[3 * number : 3 * number + 3] for order in dealt if order is not None]
        assert torch.equal(torch.cat(parts), whole.samples[first : first + 12])
    assert all(order is not None and torch.equal(order.samples, order.draws) for order in dealt)


def test_a_split_that_is_measured_in_whole_batches_is_dealt_in_turn() -> None:
    places = [DealtBatches(Part(rank, 2, 2), 4).positions(14).tolist() for rank in range(2)]
    assert places == [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13]]


def test_a_batch_that_can_not_be_divided_names_the_nearest_sizes() -> None:
    check_divisible(128, 4)
    with pytest.raises(ConfigError, match=r"loader.batch_size = 128: .* 3 parts of one size; nearest: 126 or 129"):
        check_divisible(128, 3)


class _Ranks:
    rank = 0

    def __init__(self, world: int) -> None:
        self.world = world


@pytest.mark.parametrize("world", [3, 16])
def test_exact_shards_need_a_power_of_two_of_processes_that_divides_them(world: int) -> None:
    config = load_config("digits", ["parallel.exact_shards=8"])
    with pytest.raises(
        ConfigError, match=f"parallel.exact_shards = 8: needs 1, 2, 4, … processes.* there are {world}"
    ):
        rank_part(config, _Ranks(world))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exact_shards": 6}, "must be 0 or a power of two"),
        ({"devices": [0, 0]}, "must be numbers of GPUs, from 0, each once"),
        ({"devices": [0, 1], "processes": 3}, "processes = 3 for 2 devices"),
    ],
)
def test_settings_that_can_not_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ParallelConfig.model_validate(options)


def test_what_divided_samples_without_averaging_gradients_is_retired() -> None:
    assert parse_config("[loader]\nnum_replicas = 0\nrank = -1\n", "run.toml") == parse_config("", "run.toml")
    for text in ('sampler = "distributed"', "num_replicas = 2", "rank = 1"):
        with pytest.raises(ConfigError, match=r"loader\..* was removed: .*parallel.processes"):
            parse_config(f"[loader]\n{text}\n", "run.toml")
