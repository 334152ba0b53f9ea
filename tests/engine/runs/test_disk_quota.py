"""A disk quota that is used up while a run trains, on a file system that has quotas everywhere: btrfs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaign import is_full_campaign

QUOTA = 8 << 20
WAIT_SECONDS = 120


@pytest.fixture
def folder_with_quota(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        pytest.skip("a file system with a quota needs root and btrfs-progs")
    image, disk = tmp_path / "image", tmp_path / "disk"
    image.touch()
    os.truncate(image, 256 << 20)
    disk.mkdir()
    home = disk / "home"
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(disk)], capture_output=True).returncode:
        pytest.skip("this machine mounts no btrfs")
    try:
        for command in (
            ["quota", "enable", str(disk)],
            ["subvolume", "create", str(home)],
            ["qgroup", "limit", str(QUOTA), str(home)],
        ):
            subprocess.run(["btrfs", *command], check=True, capture_output=True)
        yield home
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < until, "did not come"
        time.sleep(0.1)


def use_up(folder: Path) -> None:
    with (folder / "other").open("wb", buffering=0) as file, pytest.raises(OSError, match="quota"):
        for _ in range(QUOTA >> 12):
            file.write(os.urandom(4096))
            os.fsync(file.fileno())


@pytest.mark.campaign
@pytest.mark.skipif(not is_full_campaign(), reason="the full campaign only: it makes a file system")
def test_a_run_whose_quota_is_used_up_says_so_and_is_saved_elsewhere_when_it_is_stopped(
    folder_with_quota: Path, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import time\nclass Slow:\n    def on_step_end(self, run, loss):\n        time.sleep(0.02)\n")
    runs, output = folder_with_quota / "runs", tmp_path / "output"
    command = [sys.executable, "-P", "-m", "torchdeck"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    settings = [f"callbacks=['{slow}:Slow']", "model={name='mlp',hidden=[512]}", "training.epochs=1000"]
    settings += ["training.device=cpu", "checkpoint.keep_last=2"]
    options = [word for setting in settings for word in ("--set", setting)]
    with output.open("wb") as file:
        trained = subprocess.Popen(
            [*command, "train", "digits", "--trust-code", "--runs", str(runs), *options],
            stdout=file,
            stderr=file,
            env=environment,
        )
    wait(lambda: bool(list(runs.glob("*/checkpoints/last.pt"))))
    use_up(folder_with_quota)
    said = "the run's records can't be written, training continues and keeps them in memory: metrics.jsonl: Disk quota"
    wait(lambda: said in output.read_text())
    # The next epoch's save fails, too.
    time.sleep(2)
    trained.send_signal(signal.SIGTERM)
    assert trained.wait(WAIT_SECONDS) == 1
    assert "SAVE FAILED, training continues: Disk quota exceeded" in output.read_text()
    (rescued,) = (tmp_path / "state").glob("torchdeck/rescued/*-rescued")
    assert f"to resume it: torchdeck resume {rescued}" in output.read_text()
    checkpoint = subprocess.run(
        [*command, "checkpoint", str(rescued / "checkpoints" / "last.pt")], env=environment, capture_output=True
    )
    assert checkpoint.returncode == 0, checkpoint.stderr
