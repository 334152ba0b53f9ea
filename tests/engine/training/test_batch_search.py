"""The search for the largest batch: real steps, a ceiling of memory, and a bound that keeps the machine alive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_cases import case

from torchdeck.engine.machine.free_memory import _cgroup_room, available_memory
from torchdeck.engine.preflight.batch_search import bisect_largest, find_largest_batch


@pytest.mark.parametrize(
    ("edge", "first", "most", "found"),
    [
        (100, 64, 1000, (96, 8)),
        (100, 500, 1000, (96, 8)),
        (1000, 64, 1000, (1000, 1)),
        (2000, 1500, 1001, (1001, 1)),
        (5, 64, 1000, (5, 1)),
        (0, 64, 1000, (0, 1)),
        (1, 1, 1, (1, 1)),
        (70_000, 50_000, 1 << 20, (69_200, 1080)),
    ],
)
def test_the_largest_that_fits_is_found_to_a_sample_to_8_or_to_a_64th(
    edge: int, first: int, most: int, found: tuple[int, int]
) -> None:
    asked: list[int] = []

    def fits(size: int) -> bool:
        asked.append(size)
        return size <= edge

    largest, within = bisect_largest(fits, first, most)
    assert len(asked) == len(set(asked)) <= 16
    assert largest <= edge
    assert largest == most or largest + within >= edge
    if edge < 10_000:
        assert (largest, within) == found


def test_real_steps_find_the_batch_whose_peak_is_just_below_what_may_be_taken() -> None:
    told: list[str] = []
    before = torch.get_rng_state(), torch.get_num_threads()
    found = find_largest_batch(
        case("model.hidden=[512]"), progress=lambda words, done, total: told.append(words), memory=2_500_000
    )
    assert torch.get_num_threads() == before[1]
    assert found.limited_by == "memory"
    tried = {tried.batch_size: tried for tried in found.tries}
    assert tried[found.largest].fits and 0 < tried[found.largest].peak <= 2_500_000
    assert not tried[min(size for size in tried if size > found.largest)].fits
    assert min(size for size in tried if size > found.largest) - found.largest <= found.within
    assert all(not one.fits for size, one in tried.items() if size > found.largest)
    assert any("trying" in words for words in told)


def test_a_split_that_fits_whole_ends_the_search() -> None:
    found = find_largest_batch(case(), progress=lambda *_: None)
    assert (found.largest, found.limited_by, len(found.tries)) == (539, "samples", 1)


def test_what_does_not_fit_fails_in_its_process_and_the_process_lives() -> None:
    code = (
        "import torch\n"
        "from torchdeck.engine.machine.free_memory import memory_bound\n"
        "from torchdeck.engine.training.compute.memory_recovery import is_out_of_memory\n"
        "with memory_bound(200 << 20):\n"
        "    small = torch.zeros(10 << 20)\n"
        "    try:\n"
        "        torch.zeros(1 << 30)\n"
        "    except RuntimeError as error:\n"
        "        print(is_out_of_memory(error))\n"
        "print(len(torch.zeros(100 << 20)) > 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.split() == ["True", "True"], result.stderr


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({}, 1 << 60),
        ({"box/memory.max": "max", "box/memory.current": "5"}, 1 << 60),
        ({"box/memory.max": "1000", "box/memory.current": "900", "box/memory.stat": "anon 1\ninactive_file 50"}, 150),
        ({"box/memory.max": "1000", "box/memory.current": "900", "memory.max": "700", "memory.current": "690"}, 10),
    ],
)
def test_the_container_that_has_the_least_left_counts(tmp_path: Path, files: dict[str, str], room: int) -> None:
    (tmp_path / "fs" / "box").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/box\n")
    for name, text in files.items():
        (tmp_path / "fs" / name).write_text(text + "\n")
    assert _cgroup_room(tmp_path / "cgroup", tmp_path / "fs") == room


def test_an_older_containers_limit_counts_as_well(tmp_path: Path) -> None:
    (tmp_path / "fs" / "memory" / "box").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("8:memory:/box\n9:pids:/\n")
    (tmp_path / "fs" / "memory" / "box" / "memory.limit_in_bytes").write_text("3000\n")
    (tmp_path / "fs" / "memory" / "box" / "memory.usage_in_bytes").write_text("1000\n")
    assert _cgroup_room(tmp_path / "cgroup", tmp_path / "fs") == 2000
    assert available_memory() > 0
