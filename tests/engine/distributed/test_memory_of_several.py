"""A process of several that runs out of memory goes on in parts, and none waits for another that does not come."""

from pathlib import Path

import pytest
import torch
from several_processes import ended, several, weights_of

# The second of two processes has room for 8 samples.
MODEL = """
import os
import torch
from torch import nn


class FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        ctx.samples = len(value)
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        if ctx.samples > 8 and os.environ["RANK"] == "1":
            raise torch.OutOfMemoryError("CUDA out of memory: of a test")
        return gradient


class Net(nn.Module):
    def __init__(self, fails_in):
        super().__init__()
        self.fails_in = fails_in
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, images):
        fails_in = self.fails_in if self.training else "evaluation" if self.fails_in == "evaluation" else ""
        if fails_in in ("forward", "evaluation") and len(images) > 8 and os.environ.get("RANK") == "1":
            if self.training == (fails_in == "forward"):
                raise torch.OutOfMemoryError("CUDA out of memory: of a test")
        outputs = self.layers(images)
        return FailsBackward.apply(outputs) if fails_in == "backward" else outputs
"""


@pytest.mark.parametrize("fails_in", ["forward", "backward", "evaluation"])
def test_one_that_runs_out_of_memory_goes_on_in_parts(tmp_path: Path, fails_in: str) -> None:
    code = tmp_path / "net.py"
    code.write_text(MODEL)
    settings = (
        f"model={{name='{code}:Net',fails_in='{fails_in}'}}",
        "loss.class_weights='balanced'",
        "optimizer={name='SGD',lr=0.05}",
        "training.epochs=2",
        "parallel.timeout_minutes=1",
    )
    run = several(tmp_path / "runs", 2, *settings)
    reader = ended(run)
    assert reader.status() == "finished", run.error
    assert reader.progress().step == 2 * 23
    said = (reader.path / "ranks" / "1.log").read_text()
    fits = 6 if fails_in == "evaluation" else 8
    assert f"in parts of {fits} samples (CUDA out of memory: of a test)" in said
    restarts = [event["kind"] for event in reader.events()].count("resumed_from")
    assert restarts <= (1 if fails_in == "backward" else 0)
    assert all(torch.isfinite(weight).all() for weight in weights_of(reader).values())
