"""Cost of opening the run browser and of inspecting large files, in processes without torch.

    python benchmarks/run_browser.py [--runs N] [--checkpoints N] [--gigabytes N]

The list is read as the pane reads it: every run, the checkpoints of all of them, and once more with nothing changed.
The large files are sparse: their tables are real, of 600 tensors, and their data are holes, so that the disk is not
needed. CPU seconds; the memory is the peak above a Python that has imported nothing of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import dump_config
from torchdeck.engine.files.json_values import to_json
from torchdeck.engine.run_files import CHECKPOINTS, METRICS_FILE, STATE_FILE
from torchdeck.engine.runs.on_disk.directory import create_run_directory
from torchdeck.engine.runs.saving.checkpoint_index import IndexEntry, step_file, write_index

REPOSITORY = Path(__file__).resolve().parents[1]
TENSORS = 600

_LIST = """
import sys, time
from pathlib import Path
began = time.process_time()
from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
imported = time.process_time()
catalog = RunCatalog(Path(sys.argv[1]))
runs = catalog.look()
listed = time.process_time()
checkpoints = sum(len(list_checkpoints(run.path)) for run in runs)
all_listed = time.process_time()
catalog.look()
again = time.process_time()
for run in runs[:40]:
    catalog.extent(run)
drawn = time.process_time()
for run in runs:
    catalog.settings(run)
read = time.process_time()
assert "torch" not in sys.modules
for words, seconds in (
    ("imports", imported - began),
    (f"{len(runs):,} runs", listed - imported),
    (f"all of their {checkpoints:,} checkpoints", all_listed - listed),
    ("the runs again, nothing changed", again - all_listed),
    ("losses and sizes of 40 runs", drawn - again),
    ("every config, for a filter by settings", read - drawn),
):
    print(f"{words:<42}{1e3 * seconds:8.1f} ms")
print(f"{'open: imports, runs and checkpoints':<42}{1e3 * (all_listed - began):8.1f} ms")
"""

_INSPECT = """
import re, sys, time
from pathlib import Path
def peak_kb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
empty = peak_kb()
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint
times = []
for _ in range(7):
    began = time.process_time()
    report = inspect_checkpoint(Path(sys.argv[1]))
    times.append(time.process_time() - began)
assert "torch" not in sys.modules
print(f"{report.format:<14}{len(report.tensors):>5} tensors {report.bytes / 1e9:6.2f} GB: "
      f"first {1e3 * times[0]:6.1f} ms, then {1e3 * min(times):6.1f} ms, {(peak_kb() - empty) / 1e3:5.1f} MB")
"""


def main() -> None:
    """Make the runs and the files, and measure in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--checkpoints", type=int, default=10, help="checkpoints per run")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the large files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(arguments.runs):
            make_run(root / "runs", f"run{number:05d}", arguments.checkpoints)
        _measure(_LIST, root / "runs")
        elements = int(arguments.gigabytes * 1e9 / 4 / TENSORS)
        write_sparse_checkpoint(root / "large.pt", elements)
        write_sparse_safetensors(root / "large.safetensors", elements)
        for name in ("large.pt", "large.safetensors"):
            _measure(_INSPECT, root / name)


def make_run(root: Path, name: str, checkpoints: int) -> None:
    """A finished run with small checkpoints, without the time that saving them durably takes."""
    path = create_run_directory(root, dump_config(RunConfig(name=name)), {"argv": ["torchdeck"]}, name)
    metrics = {"loss": 0.5, "accuracy": 0.75, "macro_f1": 0.7}
    state = {"status": "finished", "epoch": checkpoints, "epochs": checkpoints, "step": 20 * checkpoints}
    (path / STATE_FILE).write_bytes(to_json({**state, "metrics": metrics}))
    losses = [{"kind": "train", "epoch": 1, "step": 20 * n, "loss": [1 / n] * 20} for n in range(1, checkpoints + 1)]
    (path / METRICS_FILE).write_bytes(b"".join(to_json(record) + b"\n" for record in losses))
    entries = {}
    for number in range(1, checkpoints + 1):
        file = path / CHECKPOINTS / step_file(20 * number)
        file.write_bytes(b"0" * 1000)
        status = file.stat()
        entries[file.name] = IndexEntry(
            20 * number, number, metrics, "epoch", True, status.st_size, status.st_mtime_ns
        )
    write_index(path / CHECKPOINTS, entries)
    for further in ("last.pt", "best.pt"):
        os.link(path / CHECKPOINTS / step_file(20 * checkpoints), path / CHECKPOINTS / further)


def write_sparse_checkpoint(path: Path, elements: int) -> None:
    """A file as torch.save writes it, of `TENSORS` tensors of float32, whose data are holes."""
    import torch

    tensors = {f"layers.{number}.weight": torch.empty(elements, device="meta") for number in range(TENSORS)}
    pickled = _pickle_of({"epoch": 3, "model_state_dict": tensors}, elements)
    with path.open("wb") as file:
        entries = [_write_entry(file, "archive/data.pkl", pickled, len(pickled))]
        entries += [_write_entry(file, f"archive/data/{n}", b"", elements * 4) for n in range(TENSORS)]
        _write_directory(file, entries)


def _pickle_of(content: dict[str, Any], elements: int) -> bytes:
    """The objects, with every tensor as a call of torch's own function on a storage of its own."""
    import io

    import torch

    class Pickler(pickle.Pickler):
        count = 0

        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, _Storage):
                return ("storage", torch.FloatStorage, str(value.number), "cpu", elements)
            return None

        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                number, self.count = self.count, self.count + 1
                parts: tuple[Any, ...] = (_Storage(number), 0, tuple(value.shape), value.stride(), False, {})
                return torch._utils._rebuild_tensor_v2, parts
            return NotImplemented

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(content)
    return buffer.getvalue()


class _Storage:
    def __init__(self, number: int) -> None:
        self.number = number


def _write_entry(file: Any, name: str, content: bytes, size: int) -> tuple[bytes, int, int, int]:
    """A stored entry of a zip archive: its name, offset, checksum and size. Without content its data are a hole."""
    offset, crc = file.tell(), zlib.crc32(content) if content else 0
    encoded = name.encode()
    file.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 0, 0, 0, 0, 0, crc, size, size, len(encoded), 0) + encoded)
    file.write(content)
    file.seek(size - len(content), os.SEEK_CUR)
    return encoded, offset, crc, size


def _write_directory(file: Any, entries: list[tuple[bytes, int, int, int]]) -> None:
    begin = file.tell()
    for name, offset, crc, size in entries:
        header = struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0, 0, 0, 0, 0, 0, crc, size, size, len(name), 0, 0, 0, 0, 0, offset
        )
        file.write(header + name)
    count, length = len(entries), file.tell() - begin
    file.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, length, begin, 0))


def write_sparse_safetensors(path: Path, elements: int) -> None:
    """A file of safetensors of `TENSORS` tensors of float32, whose data are a hole."""
    size = elements * 4
    header = {
        f"layers.{n}.weight": {"dtype": "F32", "shape": [elements], "data_offsets": [n * size, (n + 1) * size]}
        for n in range(TENSORS)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(file.tell() + TENSORS * size)


def _measure(program: str, path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, env=environment)


if __name__ == "__main__":
    main()
