"""What tests of several parts of the engine start from."""

from pathlib import Path

import pytest
from trained import PERCEPTRON, trained


@pytest.fixture(scope="session")
def perceptron_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a real run of `PERCEPTRON`; a test that writes into the run works on a copy of it."""
    return trained(PERCEPTRON, tmp_path_factory.mktemp("runs")) / "checkpoints" / "last.pt"
