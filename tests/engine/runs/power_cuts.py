"""Cuts the power of a disk while a run writes to it, and looks at what is left.

    python tests/engine/runs/power_cuts.py FOLDER [--cuts N] [--seed N] [--file-system NAME] [--without-sync]

Needs root: a file system on a loop device is shut down without flushing its journal (FS_IOC_SHUTDOWN), which
loses what a power cut would lose, and mounted anew. Prints one JSON document. `--without-sync` takes every fsync out
of the writer, to show that the campaign sees what is then lost.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Before the fork, so that a writer saves at once.
import torch  # noqa: F401
from run_cases import new_run, save, train_record

from torchdeck.engine.errors import CheckpointError, RunError
from torchdeck.engine.files import durable
from torchdeck.engine.run_files import METRICS_FILE
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.saving.checkpoint import newest_valid_checkpoint, verify_checkpoint

# _IOR('X', 125, __u32) of the kernel's fs.h, and its flag "do not flush the journal".
FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2

# How a disk is made with each file system that has this call, and how large: mkfs.xfs refuses fewer bytes than these.
FILE_SYSTEMS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 64 << 20),
    "xfs": (["mkfs.xfs", "-q", "-f"], 300 << 20),
}
# The journal is made durable every half second; a cut may fall into a write that waits for a slow disk.
ALLOWED_SECONDS = 1.5


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def write_until_killed(root: Path, acknowledged: int) -> None:
    """A run that saves and records, and tells each acknowledged save and each record through a pipe."""
    run = new_run(root, keep_last=2)
    step = 0
    while True:
        step += 1
        run.record(train_record(step, 1))
        os.write(acknowledged, struct.pack("<cqd", b"r", step, time.time()))
        if step % 4 == 0:
            save(run, step, epoch=step, is_best=step % 8 == 0)
            if not run.save_error:
                os.write(acknowledged, struct.pack("<cqd", b"s", step, time.time()))
        time.sleep(0.005)


def cut_once(folder: Path, file_system: str, generator: random.Random, number: int) -> dict[str, object]:
    """Write to a new disk, cut its power, look at it."""
    # Never the file of an earlier disk: a mount namespace that was made meanwhile may keep that one, cut as it is.
    image, left, disk = folder / f"disk-{number}.img", folder / f"left-{number}.img", folder / "disk"
    make, size = FILE_SYSTEMS[file_system]
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([*make, str(image)], check=True, capture_output=True)
    disk.mkdir(exist_ok=True)
    with mounted(image, disk):
        read_end, write_end = os.pipe()
        if (writer := os.fork()) == 0:
            os.close(read_end)
            try:
                write_until_killed(disk / "runs", write_end)
            finally:
                os._exit(1)
        os.close(write_end)
        # Without a save there is nothing to lose.
        told = b""
        while not any(told[at : at + 1] == b"s" for at in range(0, len(told), 17)):
            if not (piece := os.read(read_end, 17)):
                raise RuntimeError("the writer ended before it saved")
            told += piece
        time.sleep(generator.uniform(0.3, 2.0))
        descriptor = os.open(disk, os.O_RDONLY)
        cut_at = time.time()
        fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(descriptor)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        while piece := os.read(read_end, 1 << 16):
            told += piece
        os.close(read_end)
    shutil.copyfile(image, left)
    image.unlink()
    with mounted(left, disk):
        found = what_is_left(disk / "runs", told, cut_at)
    left.unlink()
    return found


def what_is_left(root: Path, told: bytes, cut_at: float) -> dict[str, object]:
    messages = [struct.unpack_from("<cqd", told, at) for at in range(0, len(told) - 16, 17)]
    saved = [step for kind, step, moment in messages if kind == b"s" and moment < cut_at]
    recorded = [step for kind, step, moment in messages if kind == b"r" and moment < cut_at - ALLOWED_SECONDS]
    found, problem, steps, lines = 0, "", [], b""
    if runs := list_runs(root):
        reader = RunReader(runs[0].path)
        reader.poll()
        steps = reader.series("train/loss")[0].astype(int).tolist()
        lines = (reader.path / METRICS_FILE).read_bytes() if (reader.path / METRICS_FILE).exists() else b""
        try:
            newest, _ = newest_valid_checkpoint(reader.path)
            found = verify_checkpoint(newest).step or 0
        except (CheckpointError, RunError) as error:
            problem = str(error)
    return {
        "saves": len(saved),
        "records": len(recorded),
        "is_save_lost": bool(saved) and found < saved[-1],
        "records_lost": len(set(recorded) - set(steps)),
        "is_order_broken": steps != list(range(1, len(steps) + 1)),
        "has_holes": b"\0" in lines,
        "problem": problem,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file-system", choices=FILE_SYSTEMS, default="ext4")
    parser.add_argument("--without-sync", action="store_true")
    options = parser.parse_args()
    if options.without_sync:
        durable.FileOperations.fsync = lambda self, descriptor: None  # type: ignore[method-assign]
        durable.FileOperations.fdatasync = lambda self, descriptor: None  # type: ignore[method-assign]
    generator = random.Random(options.seed)
    results = [cut_once(options.folder, options.file_system, generator, at) for at in range(options.cuts)]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
