"""What every test needs: one thread a process, and nothing of the user's own machine."""

import os
from pathlib import Path

import pytest

# Before torch is imported: tests run side by side, and more threads than cores make them crawl.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

needs_fashion_mnist = pytest.mark.skipif(
    not DEBIAN_FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed"
)


def is_full_campaign() -> bool:
    """Whether long randomised campaigns run whole (nightly) or in a short form."""
    return os.environ.get("TORCHDECK_CAMPAIGN") == "full"


@pytest.fixture(autouse=True)
def _away_from_the_users_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHDECK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
