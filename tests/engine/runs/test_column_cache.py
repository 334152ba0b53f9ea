"""The cache of a long run's curves: the same numbers as the records, or nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from run_cases import epoch_record, new_run, train_record

from torchdeck.engine.runs import reader
from torchdeck.engine.runs.on_disk import column_cache
from torchdeck.engine.runs.on_disk.column_cache import CachedCurves, load_curves
from torchdeck.engine.runs.on_disk.series import BLOCK_SERIES, SERIES
from torchdeck.engine.runs.reader import RunReader


@pytest.fixture(autouse=True)
def _every_run_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WORTH_CACHING_BYTES", 1)


def long_run(root: Path) -> Path:
    run = new_run(root)
    for epoch in (1, 2, 3):
        for step in (10, 20, 30):
            run.record(train_record((epoch - 1) * 30 + step, 10, epoch, accuracy=[0.25] * 9 + ["NaN"]))
        run.record(epoch_record(epoch, epoch * 30, accuracy=epoch / 4))
    run.close("finished")
    return run.path


def cache_of(run: Path) -> Path:
    return run / "cache" / "metrics.columns"


def contents(cached: CachedCurves) -> str:
    curves = {name: [column.tolist() for column in cached.curves.points(name)] for name in (*SERIES, *BLOCK_SERIES)}
    others = (cached.curves.newest_blocks, cached.curves.other_records)
    return repr((cached.offset, cached.skipped, cached.malformed, curves, others))


def opened(run: Path) -> RunReader:
    opened = RunReader(run)
    opened.poll()
    return opened


def everything(reader: RunReader) -> str:
    curves = {name: [column.tolist() for column in reader.series(name)] for name in (*SERIES, *BLOCK_SERIES)}
    return repr((curves, reader.epoch_records(), reader.best(), reader.progress(), reader.skipped_lines))


def parsed(run: Path, monkeypatch: pytest.MonkeyPatch) -> RunReader:
    with monkeypatch.context() as uncached:
        uncached.setattr(reader, "load_curves", lambda run: None)
        return opened(run)


def test_a_run_that_ended_leaves_its_curves_and_they_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = long_run(tmp_path)
    cached = load_curves(run)
    assert cached is not None
    assert cached.offset == (run / "metrics.jsonl").stat().st_size
    assert everything(opened(run)) == everything(parsed(run, monkeypatch))


def test_steps_that_curves_share_are_stored_once(tmp_path: Path) -> None:
    run = long_run(tmp_path)
    with np.load(cache_of(run)) as arrays:
        lengths = [len(array) for name, array in arrays.items() if name != "header"]
    # The loss of these records is the step's number, so that it is the same column as the steps. A curve that the run
    # doesn't have takes no room; pace and time have a value per block.
    assert sorted(lengths) == [0, 9, 9, 9, 90, 90, 90]


def test_what_came_after_the_cache_is_read_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = long_run(tmp_path)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        for record in (train_record(100, 10, 4), epoch_record(4, 120)):
            file.write(json.dumps(record) + "\n")
        file.write("no record\n")
    both = opened(run)
    assert both.series("train/loss")[0].tolist() == list(range(1, 101))
    assert both.skipped_lines == 1
    assert everything(both) == everything(parsed(run, monkeypatch))


def test_metrics_that_were_cut_or_changed_make_the_cache_worthless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = long_run(tmp_path)
    whole = (run / "metrics.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for changed in (b"".join(lines[:-2]), whole.replace(b'"accuracy":0.75', b'"accuracy":0.95'), b""):
        (run / "metrics.jsonl").write_bytes(changed)
        assert load_curves(run) is None
        assert everything(opened(run)) == everything(parsed(run, monkeypatch))
        cache_of(run).unlink(missing_ok=True)
        (run / "metrics.jsonl").write_bytes(whole)
        opened(run)
        assert load_curves(run) is not None


def test_a_damaged_cache_is_not_believed(tmp_path: Path) -> None:
    run = long_run(tmp_path)
    good, expected = cache_of(run).read_bytes(), everything(opened(run))
    whole = load_curves(run)
    assert whole is not None
    rng = np.random.default_rng(4)
    for at in [0, 1, len(good) - 1, *rng.integers(0, len(good), 300).tolist()]:
        damaged = bytearray(good)
        damaged[at] ^= 1 << int(rng.integers(8))
        for content in (bytes(damaged), good[:at]):
            cache_of(run).write_bytes(content)
            cached = load_curves(run)
            if cached is not None:
                # A bit of the archive's own spelling, such as a file's date, may differ and mean nothing.
                assert contents(cached) == contents(whole)
    cache_of(run).write_bytes(good)
    assert everything(opened(run)) == expected


def test_a_cache_that_unpacks_to_more_than_it_is_is_not_read(tmp_path: Path) -> None:
    run = long_run(tmp_path)
    with np.load(cache_of(run)) as arrays:
        content = dict(arrays)
    np.savez_compressed(tmp_path / "packed.npz", **content)
    (tmp_path / "packed.npz").rename(cache_of(run))
    assert load_curves(run) is None
    np.savez(tmp_path / "again.npz", **content)
    (tmp_path / "again.npz").rename(cache_of(run))
    assert load_curves(run) is not None


def test_a_cache_that_is_a_link_or_can_not_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = long_run(tmp_path)
    expected = everything(opened(run))
    elsewhere = tmp_path / "elsewhere"
    cache_of(run).rename(elsewhere)
    cache_of(run).symlink_to(elsewhere)
    assert load_curves(run) is None
    cache_of(run).unlink()
    (run / "cache").rmdir()
    (run / "cache").write_text("in the way")
    assert everything(opened(run)) == expected
    assert not column_cache.store_curves(run, CachedCurves(0, 0, 0, opened(run)._curves))
