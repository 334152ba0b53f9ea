"""A process of several that runs out of memory goes on in parts, and none waits for another that does not come."""

from pathlib import Path

import pytest
import torch
from several_processes import STEPS_PER_EPOCH, ended, several, weights_of

# The second of two processes has room for 8 samples. Backward passes fail after the 30th only: not in a rehearsal of
# the first step, which sends nothing.
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
        self.fails_in, self.passes = fails_in, 0
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, images):
        phase = "forward" if self.training else "evaluation"
        self.passes += self.training
        if self.fails_in == phase and len(images) > 8 and os.environ.get("RANK") == "1":
            raise torch.OutOfMemoryError("CUDA out of memory: of a test")
        outputs = self.layers(images)
        return FailsBackward.apply(outputs) if self.fails_in == "backward" and self.passes > 30 else outputs
"""


def settings_of(tmp_path: Path, fails_in: str) -> tuple[str, ...]:
    code = tmp_path / "net.py"
    code.write_text(MODEL)
    return (
        f"model={{name='{code}:Net',fails_in='{fails_in}'}}",
        "loss.class_weights='balanced'",
        "optimizer={name='SGD',lr=0.05}",
        "training.epochs=2",
        "parallel.timeout_minutes=1",
    )


@pytest.mark.parametrize(("fails_in", "restarts"), [("forward", 0), ("backward", 2), ("evaluation", 0)])
def test_one_that_runs_out_of_memory_goes_on_in_parts(tmp_path: Path, fails_in: str, restarts: int) -> None:
    run = several(tmp_path / "runs", 2, *settings_of(tmp_path, fails_in))
    reader = ended(run)
    assert reader.status() == "finished", run.error
    assert reader.progress().step == 2 * STEPS_PER_EPOCH
    said = (reader.path / "ranks" / "1.log").read_text()
    fits = 6 if fails_in == "evaluation" else 8
    assert f"in parts of {fits} samples (CUDA out of memory: of a test)" in said
    assert [event["kind"] for event in reader.events()].count("resumed_from") == restarts
    assert all(torch.isfinite(weight).all() for weight in weights_of(reader).values())


def test_out_of_memory_where_nothing_is_started_again_ends_the_run_with_its_words(
    tmp_path: Path,
) -> None:
    told = tmp_path / "told"
    settings = (
        *settings_of(tmp_path, "backward"),
        "parallel.restarts=0",
        f"notify={{command='sleep 1; printenv TORCHDECK_TEXT > {told}',on=['failed'],after_minutes=0}}",
    )
    run = several(tmp_path / "runs", 2, *settings)
    reader = ended(run)
    assert reader.status() == "failed"
    for words in (str(run.error), reader.state()["error"], told.read_text()):
        assert "process 1: " in words and "CUDA out of memory: of a test" in words
