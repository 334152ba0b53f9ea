"""A damaged checkpoint never loads silently: every bit matters or nothing reads it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from campaign import is_full_campaign
from run_cases import new_run, plain_state, save

from torchdeck.engine.errors import CheckpointError, RunError
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint, newest_valid_checkpoint, verify_checkpoint
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint
from torchdeck.engine.tensor_files.zip_directory import read_zip_directory

FULL = is_full_campaign()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.pt"
    torch.manual_seed(0)
    torch.save(plain_state(3, weights=torch.randn(50, 60)), path)
    return path.read_bytes()


def same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def refused_or_unchanged(path: Path, damaged: bytes, content: Any) -> bool:
    """True when refused; fails when it loads with other values."""
    path.write_bytes(damaged)
    try:
        loaded = load_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)
        return True
    assert same(loaded, content)
    return False


def regions(good: bytes, tmp_path: Path) -> dict[str, range]:
    """Byte ranges of the parts of the archive."""
    path = tmp_path / "regions.pt"
    path.write_bytes(good)
    spans = {span.name: range(span.offset, span.offset + span.bytes) for span in inspect_checkpoint(path).checksums}
    with path.open("rb") as file:
        entries = read_zip_directory(file, len(good))
    headers = {
        f"header of {name}": range(entry.header_offset, entry.header_offset + 30) for name, entry in entries.items()
    }
    end_of_data = max(span.stop for span in spans.values())
    return {**spans, **headers, "directory": range(good.index(b"PK\1\2", end_of_data), len(good))}


@pytest.mark.campaign
def test_a_flipped_bit_in_any_part_is_refused_or_without_effect(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "damaged.pt"
    path.write_bytes(good)
    content = load_checkpoint(path)
    generator = random.Random(1)
    refused: dict[str, int] = {}
    per_region = 400 if FULL else 12
    for name, positions in regions(good, tmp_path).items():
        for _ in range(per_region):
            if not positions:
                continue
            damaged = bytearray(good)
            damaged[generator.choice(positions)] ^= 1 << generator.randrange(8)
            refused[name] = refused.get(name, 0) + refused_or_unchanged(path, bytes(damaged), content)
    for name, count in refused.items():
        if not name.startswith("header") and name != "directory":
            assert count == per_region, f"{name}: a flipped bit passed the checksum"


@pytest.mark.campaign
def test_overwritten_spans_and_lost_pages_are_refused_or_without_effect(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "damaged.pt"
    path.write_bytes(good)
    content = load_checkpoint(path)

    def damages() -> Iterator[bytes]:
        generator = random.Random(2)
        for _ in range(1000 if FULL else 60):
            at, length = generator.randrange(len(good)), generator.choice([8, 64, 512, 4096])
            filler = bytes(length) if generator.random() < 0.5 else generator.randbytes(length)
            yield (good[:at] + filler + good[at + length :])[: len(good)]

    for damaged in damages():
        if damaged != good:
            refused_or_unchanged(path, damaged, content)


@pytest.mark.campaign
def test_any_bit_that_no_checksum_covers_is_refused_or_without_effect(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "damaged.pt"
    path.write_bytes(good)
    content = load_checkpoint(path)
    covered = {
        position
        for name, positions in regions(good, tmp_path).items()
        if name != "directory" and not name.startswith("header")
        for position in positions
    }
    bits = [(position, bit) for position in range(len(good)) if position not in covered for bit in range(8)]
    for position, bit in bits if FULL else random.Random(3).sample(bits, 40):
        damaged = bytearray(good)
        damaged[position] ^= 1 << bit
        refused_or_unchanged(path, bytes(damaged), content)


def test_a_part_that_is_said_to_be_a_folder_is_refused(tmp_path: Path, good: bytes) -> None:
    """torch reads no content for one, and hands out memory as it lies there."""
    path = tmp_path / "folder.pt"
    damaged = bytearray(good)
    attributes = good.rindex(b"data/0") - len("good/") - 8
    damaged[attributes] |= 0x10
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="an unexpected folder"):
        load_checkpoint(path)


def test_a_file_cut_at_any_place_is_refused(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "cut.pt"
    step = 1 if FULL else 97
    for length in [*range(0, len(good), step), *range(len(good) - 80, len(good))]:
        path.write_bytes(good[:length])
        with pytest.raises(CheckpointError, match=r"truncated|empty|not a checkpoint|damaged"):
            verify_checkpoint(path)


def test_torch_itself_would_load_a_flipped_weight(tmp_path: Path, good: bytes) -> None:
    """The reason for verifying: if torch ever refuses this, the check has become cheap to drop."""
    path = tmp_path / "flipped.pt"
    span = regions(good, tmp_path)["data/0"]
    damaged = bytearray(good)
    damaged[span.start + 3] ^= 0x40
    path.write_bytes(bytes(damaged))
    assert torch.load(path, weights_only=True)["epoch"] == 1
    with pytest.raises(CheckpointError, match=r"checksum of its part data/0 is wrong"):
        load_checkpoint(path)


def test_going_on_takes_the_newest_valid_checkpoint_and_names_those_it_skipped(tmp_path: Path) -> None:
    run = new_run(tmp_path, keep_last=9)
    for step in (1, 2, 3, 4):
        save(run, step)
    run.close("stopped")
    folder = run.path / "checkpoints"
    flipped = bytearray((folder / "step-000000004.pt").read_bytes())
    flipped[len(flipped) // 3] ^= 4
    (folder / "step-000000004.pt").write_bytes(flipped)
    (folder / "step-000000003.pt").write_bytes((folder / "step-000000003.pt").read_bytes()[:1000])
    path, skipped = newest_valid_checkpoint(run.path)
    assert path.name == "step-000000002.pt"
    assert [(file.name, "checksum" in reason or "truncated" in reason) for file, reason in skipped] == [
        ("step-000000004.pt", True),
        ("step-000000003.pt", True),
    ]


def test_a_run_without_a_valid_checkpoint_says_what_is_wrong_with_each(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with pytest.raises(RunError, match="ended before its first save"):
        newest_valid_checkpoint(run.path)
    save(run, 5)
    run.close("stopped")
    (run.path / "checkpoints" / "step-000000005.pt").write_bytes(b"")
    (run.path / "checkpoints" / "last.pt").unlink(missing_ok=True)
    with pytest.raises(RunError, match=r"step-000000005\.pt: is empty"):
        newest_valid_checkpoint(run.path)
