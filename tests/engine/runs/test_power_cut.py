"""What was acknowledged survives a power cut. Needs root, for a file system on a loop device."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from campaign import is_full_campaign
from warm_python import warm_python

SCRIPT = Path(__file__).with_name("power_cuts.py")
FULL = is_full_campaign()
CUTS = {"ext4": 300 if FULL else 3, "xfs": 60}


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None and Path("/dev/loop-control").exists()


pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(not can_mount(), reason="cutting a disk's power needs root, mkfs.ext4 and a loop device"),
]


def cut(folder: Path, cuts: int, *options: str) -> list[dict[str, Any]]:
    command = [*warm_python(), str(SCRIPT), str(folder), "--cuts", str(cuts), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if "failed to setup loop device" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip(f"this machine lets nobody mount a loop device: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize("file_system", CUTS)
def test_no_acknowledged_save_and_no_record_older_than_a_moment_is_lost(tmp_path: Path, file_system: str) -> None:
    if file_system == "xfs" and (not FULL or shutil.which("mkfs.xfs") is None):
        pytest.skip("XFS is for the full campaign, and needs mkfs.xfs")
    cuts = CUTS[file_system]
    results = cut(tmp_path, cuts, "--file-system", file_system)
    assert sum(result["saves"] for result in results) > cuts
    for result in results:
        assert not result["is_save_lost"], result
        assert result["records_lost"] == 0, result
        assert not result["is_order_broken"], result
        assert not result["has_holes"], result


def test_without_its_syncs_the_same_campaign_sees_the_losses(tmp_path: Path) -> None:
    results = cut(tmp_path, 2, "--without-sync")
    assert all(result["is_save_lost"] for result in results), results
