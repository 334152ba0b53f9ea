"""The tests of what a run promises notice its breach: each fault is planted, and the test that must fail does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import test_checkpoint_damage as damage
import test_checkpoint_saver as saving
import test_column_cache as caching
import test_run_reader as reading
from run_cases import new_run
from test_checkpoint_damage import good  # noqa: F401

from torchdeck.engine.files import durable
from torchdeck.engine.runs.on_disk import column_cache
from torchdeck.engine.runs.on_disk.line_tail import LineTail
from torchdeck.engine.runs.saving import checkpoint
from torchdeck.engine.runs.saving.retention import Retention
from torchdeck.engine.tensor_files.checkpoint_file import inspect_open_file


def test_checksums_that_are_not_looked_at_are_noticed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    good: bytes,  # noqa: F811
) -> None:
    monkeypatch.setattr(checkpoint, "_verify", inspect_open_file)
    with pytest.raises((AssertionError, ValueError, RuntimeError)):
        damage.test_a_flipped_bit_in_any_part_is_refused_or_without_effect(tmp_path, good)


def test_a_checkpoint_that_is_written_in_place_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = durable.temporary_path
    monkeypatch.setattr(
        durable, "temporary_path", lambda path: path if path.name.startswith("step-") else temporary(path)
    )
    with pytest.raises(AssertionError):
        saving.test_killed_at_every_operation_of_a_save_a_valid_checkpoint_is_there(tmp_path)


def test_a_best_that_is_deleted_with_the_old_ones_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surplus = Retention.surplus
    monkeypatch.setattr(Retention, "surplus", lambda self, index, kept: surplus(self, index, frozenset()))
    with pytest.raises(AssertionError):
        saving.test_the_newest_and_the_best_are_kept(tmp_path, keep_last=1, best=2, kept=[6, 2])


def test_a_reader_that_takes_half_a_line_for_a_whole_one_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_to_the_end(tail: LineTail, max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
        content = tail.path.read_bytes()
        lines = content[tail._offset :].splitlines()
        tail._offset = tail._size = len(content)
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                tail.skipped += 1

    monkeypatch.setattr(LineTail, "read", read_to_the_end)
    with pytest.raises(AssertionError):
        reading.test_a_torn_last_line_is_read_once_it_is_whole_whatever_byte_it_was_cut_at(new_run(tmp_path))


def test_a_cache_that_is_believed_whatever_the_metrics_are_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_cache, "_probe", lambda path, offset: 0)
    monkeypatch.setattr(caching.reader, "WORTH_CACHING_BYTES", 1)
    with pytest.raises(AssertionError):
        caching.test_metrics_that_were_cut_or_changed_make_the_cache_worthless(tmp_path, monkeypatch)
