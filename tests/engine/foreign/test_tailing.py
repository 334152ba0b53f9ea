"""Files of other trainers while they grow, are cut, replaced or damaged: only whole records count, nothing raises."""

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from torchdeck.engine.foreign import history
from torchdeck.engine.foreign.formats import FORMATS, discovered, open_run
from torchdeck.engine.foreign.history import History
from torchdeck.engine.foreign.reader import ForeignReader
from torchdeck.engine.foreign.settings_text import read_yaml
from torchdeck.engine.foreign.source import Figure
from torchdeck.engine.foreign.tensorboard import masked_crc32c

FIXTURES = Path(__file__).parent / "fixtures"


def event(step: int, value: float, tag: str = "loss") -> bytes:
    """A record of an event file, with a scalar."""
    named = tag.encode()
    inner = b"\x0a" + bytes([len(named)]) + named + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(inner)]) + inner
    body = (
        b"\x09"
        + struct.pack("<d", 1000.0 + step)
        + b"\x10"
        + bytes([step])
        + b"\x2a"
        + bytes([len(summary)])
        + summary
    )
    head = struct.pack("<Q", len(body))
    return head + struct.pack("<I", masked_crc32c(head)) + body + struct.pack("<I", masked_crc32c(body))


def grown(reader: ForeignReader, file: Path, content: bytes) -> list[float]:
    """The training losses after some bytes were added to a file."""
    with file.open("ab") as opened:
        opened.write(content)
    reader.poll()
    return reader.series("train/loss")[1].tolist()


def opened(path: Path) -> ForeignReader:
    reader = open_run(path)
    assert isinstance(reader, ForeignReader)
    return reader


@pytest.mark.parametrize(
    ("name", "head", "first", "second"),
    [
        ("events.out.tfevents.1700000000.host", b"", event(1, 1.0), event(2, 0.5)),
        ("log.csv", b"step,loss\n", b"1,1.0\n", b"2,0.5\n"),
        ("log.jsonl", b"", b'{"step": 1, "loss": 1.0}\n', b'{"step": 2, "loss": 0.5}\n'),
        ("train.log", b"", b"step 1/9: loss=1.0\n", b"step 2/9: loss=0.5\n"),
    ],
)
def test_a_record_counts_when_it_is_whole(name: str, head: bytes, first: bytes, second: bytes, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(head + first)
    reader = opened(file)
    assert grown(reader, file, b"") == [1.0]
    assert grown(reader, file, second[:-3]) == [1.0]
    assert grown(reader, file, second[-3:]) == [1.0, 0.5]
    assert not reader.poll()
    # Cut and written anew, as by a program that starts over.
    file.write_bytes(head + second)
    assert grown(reader, file, b"") == [0.5]
    replaced = tmp_path / "other"
    replaced.write_bytes(head + first + second)
    replaced.rename(file)
    assert grown(reader, file, b"") == [1.0, 0.5]


def test_a_table_that_gets_another_column_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,loss\n1,1.0\n")
    reader = opened(file)
    assert grown(reader, file, b"") == [1.0]
    file.write_text("step,loss,val_loss\n1,1.0,\n1,,2.0\n2,0.5,\n")
    assert grown(reader, file, b"") == [1.0, 0.5]
    assert reader.series("validation/loss")[1].tolist() == [2.0]


def test_what_a_restarted_program_writes_again_replaces_what_it_wrote(tmp_path: Path) -> None:
    first, second = (tmp_path / f"events.out.tfevents.170000000{number}.host" for number in (1, 2))
    first.write_bytes(b"".join(event(step, step) for step in range(1, 6)))
    second.write_bytes(b"".join(event(step, 10 * step) for step in range(3, 5)))
    reader = opened(tmp_path)
    reader.poll()
    assert reader.series("train/loss")[0].tolist() == [1, 2, 3, 4]
    assert reader.series("train/loss")[1].tolist() == [1, 2, 30, 40]


def test_a_picture_between_scalars_is_passed_over_unread(tmp_path: Path) -> None:
    length = struct.pack("<Q", 9_000_000)
    picture = length + struct.pack("<I", masked_crc32c(length)) + bytes(9_000_000 + 4)
    (tmp_path / "events.out.tfevents.1.host").write_bytes(event(1, 1.0) + picture + event(2, 0.5))
    reader = opened(tmp_path)
    reader.poll(1 << 20)
    while reader.has_more:
        reader.poll(1 << 20)
    assert reader.series("train/loss")[1].tolist() == [1.0, 0.5]


def test_a_damaged_event_file_is_read_up_to_the_damage_and_says_where(tmp_path: Path) -> None:
    content = event(1, 1.0)
    (tmp_path / "events.out.tfevents.1.host").write_bytes(content + b"\xff" * 100)
    reader = opened(tmp_path)
    reader.poll()
    assert reader.series("train/loss")[1].tolist() == [1.0]
    assert f"damaged at byte {len(content)}" in reader.damage()[0]


def test_a_state_that_is_written_whole_adds_its_new_entries(tmp_path: Path) -> None:
    entries = [{"step": step, "loss": float(step), "epoch": step / 10} for step in (1, 2, 3)]
    file = tmp_path / "trainer_state.json"
    file.write_text(json.dumps({"log_history": entries[:1], "max_steps": 3, "global_step": 1}))
    reader = opened(tmp_path)
    assert grown(reader, file, b"") == [1.0]
    file.write_text(json.dumps({"log_history": entries, "max_steps": 3, "global_step": 3}))
    assert grown(reader, file, b"") == [1.0, 2.0, 3.0]
    assert reader.status() == "finished"
    file.write_text(json.dumps({"log_history": entries[2:], "max_steps": 3, "global_step": 3}))
    assert grown(reader, file, b"") == [3.0]


def test_files_of_random_bytes_never_raise(tmp_path: Path) -> None:
    generator = random.Random(7)
    for run in discovered(FIXTURES):
        folder = tmp_path / run.format.title
        source = run.path if run.path.is_dir() else run.path.parent
        for path in source.rglob("*"):
            if path.is_file() and path.stat().st_size < 100_000:
                copy = folder / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        files = [path for path in folder.rglob("*") if path.is_file()]
        originals = {path: path.read_bytes() for path in files}
        for _ in range(12):
            for path, content in originals.items():
                damaged = bytearray(content)
                for _ in range(generator.randrange(1, 8)):
                    if damaged:
                        damaged[generator.randrange(len(damaged))] = generator.randrange(256)
                path.write_bytes(bytes(damaged)[: generator.randrange(len(damaged) + 1)])
            place = folder / run.path.name if run.path.is_file() else folder
            reader = ForeignReader(place, run.format.open(place), run.format.title)
            reader.poll()
            (
                reader.progress(),
                reader.best(),
                reader.epoch_records(),
                reader.settings(),
                reader.state(),
                reader.damage(),
            )


def test_a_folder_of_pipes_links_and_devices_is_not_waited_for(tmp_path: Path) -> None:
    import os

    for name in ("metrics.csv", "hparams.yaml", "trainer_state.json", "run-1.wandb", "events.out.tfevents.1"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        os.mkfifo(folder / name)
        (folder / "loop").symlink_to(folder)
        (folder / "zero.csv").symlink_to("/dev/zero")
    assert len(FORMATS) > 5
    for run in discovered(tmp_path):
        run.reader().poll()


def test_a_series_without_end_is_bounded_and_keeps_its_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_POINTS", 1000)
    kept = History()
    for begin in range(0, 20_000, 500):
        kept.add([Figure("loss", step, 99.0 if step == 7_777 else 1.0) for step in range(begin, begin + 500)])
    x, y = kept.points("train/loss")
    assert len(x) <= 1000
    assert y.max() == 99.0
    assert (np.diff(x) > 0).all()
    assert x[-1] == 19_999


def test_steps_out_of_order_are_sorted() -> None:
    generator = random.Random(1)
    steps = list(range(1000))
    generator.shuffle(steps)
    kept = History()
    kept.add([Figure("loss", step, step) for step in steps])
    assert kept.points("train/loss")[0].tolist() == sorted(steps)


def test_settings_are_read_without_a_library_and_without_code(tmp_path: Path) -> None:
    file = tmp_path / "hparams.yaml"
    file.write_text(
        "lr: 0.1\nname: 'a b'\nmodel:\n  depth: 4\n  block:\n    kind: conv\nlist: [1, 2]\nflag: true\nnone: null\n"
        "evil: !!python/object/apply:os.system ['true']\nitems:\n- 1\n- 2\n"
    )
    assert read_yaml(file) == {
        "lr": 0.1,
        "name": "a b",
        "model": {"depth": 4, "block": {"kind": "conv"}},
        "list": [1, 2],
        "flag": True,
    }
