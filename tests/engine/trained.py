"""Runs that were trained to their end, for tests that use them."""

from pathlib import Path

from torchdeck.engine.config.file import parse_config
from torchdeck.engine.launching.launch import launch

PERCEPTRON = """
name = "case"
[data]
validation = 0.2
[model]
name = "mlp"
hidden = [8]
[loader]
batch_size = 512
[training]
epochs = 1
device = "cpu"
num_threads = 1
"""


def trained(toml: str, root: Path) -> Path:
    """Train what the TOML says, under this folder. Returns the run's directory."""
    run = launch(parse_config(toml, "case"), root)
    run.join(120)
    assert run.status == "finished", run.error
    assert run.path is not None
    return run.path
