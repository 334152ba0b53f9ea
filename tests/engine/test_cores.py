"""The cores that a process may use, in a container too."""

import os
from pathlib import Path

import pytest

from torchdeck.engine.machine.cores import _quota, available_cores


@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({}, 1 << 20),
        ({"box": "max 100000"}, 1 << 20),
        ({"box": "400000 100000"}, 4),
        ({"box": "150000 100000"}, 2),
        ({"": "300000 100000", "box": "800000 100000"}, 3),
        ({"": "300000 100000", "box": "max 100000", "box/job": "50000 100000"}, 1),
        ({"box": "nonsense"}, 1 << 20),
    ],
)
def test_the_smallest_quota_on_the_way_to_the_root_counts(tmp_path: Path, limits: dict[str, str], cores: int) -> None:
    (tmp_path / "fs" / "box" / "job").mkdir(parents=True)
    for place, limit in limits.items():
        (tmp_path / "fs" / place / "cpu.max").write_text(limit + "\n")
    # Outside the mounted tree nothing is read.
    (tmp_path / "cpu.max").write_text("1 100000\n")
    (tmp_path / "cgroup").write_text("12:cpu:/elsewhere\n0::/box/job\n")
    assert _quota(tmp_path / "cgroup", tmp_path / "fs") == cores


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert _quota(tmp_path / "missing", tmp_path) == 1 << 20
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
