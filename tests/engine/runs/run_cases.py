"""Runs, records and states as a trainer makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchdeck.engine.config import CheckpointConfig, RunConfig
from torchdeck.engine.runs.writer import RunWriter


def new_run(root: Path, name: str = "run", keep_last: int = 3, keep_every: int = 0) -> RunWriter:
    config = RunConfig(name=name, checkpoint=CheckpointConfig(keep_last=keep_last, keep_every=keep_every))
    return RunWriter.create(root, config, {"argv": ["torchdeck", "train", "digits"], "classes": ["0", "1"]})


def train_record(last_step: int, steps: int, epoch: int = 1, **fields: Any) -> dict[str, Any]:
    """A block of training steps whose loss is the step's number."""
    first = last_step - steps + 1
    return {
        "kind": "train",
        "epoch": epoch,
        "step": last_step,
        "t": last_step / 100,
        "seconds": steps / 100,
        "samples": steps * 64,
        "loss": [float(step) for step in range(first, last_step + 1)],
        "accuracy": [0.5] * steps,
        "lr": 0.1,
        **fields,
    }


def epoch_record(epoch: int, step: int, accuracy: float = 0.5, is_best: bool = True) -> dict[str, Any]:
    return {
        "kind": "epoch",
        "epoch": epoch,
        "step": step,
        "t": step / 100,
        "seconds": 1.5,
        "lr": 0.1,
        "train": {"loss": 1.0, "accuracy": accuracy},
        "validation": {"loss": 1.25, "accuracy": accuracy, "macro_f1": accuracy},
        "is_best": is_best,
    }


def plain_state(step: int, epoch: int = 1, **fields: Any) -> dict[str, Any]:
    """A checkpoint's content, small, whose weights are the step's number."""
    import torch

    return {
        "torchdeck_format": 1,
        "epoch": epoch,
        "model_state_dict": {"0.weight": torch.full((16, 16), float(step)), "0.bias": torch.zeros(16)},
        "optimizer_state_dict": {"state": {0: {"momentum_buffer": torch.ones(16, 16)}}, "param_groups": [{"lr": 0.1}]},
        "scheduler_state_dict": {},
        "scaler_state_dict": None,
        "rng": {"torch": torch.get_rng_state()},
        "position": {"epoch": epoch, "step_in_epoch": 0, "step": step},
        "metrics": {},
        "config": 'name = "run"\n',
        **fields,
    }


def save(run: RunWriter, step: int, epoch: int = 1, is_best: bool = False, **fields: Any) -> None:
    """Ask for a save, and wait for its end."""
    metrics = fields.pop("metrics", {})
    reason = fields.pop("reason", "epoch")
    is_last = fields.pop("is_last", False)
    run.save_checkpoint(
        plain_state(step, epoch, metrics=metrics, **fields),
        step=step,
        epoch=epoch,
        metrics=metrics,
        reason=reason,
        is_best=is_best,
        is_last=is_last,
    )
    run.flush()
