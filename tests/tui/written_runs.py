"""Runs with invented numbers, written by the class that writes real runs."""

from __future__ import annotations

import math
import os
from pathlib import Path

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.writer import RunWriter

NOW = 1_700_000_000.0


def written_run(root: Path, status: str = "finished") -> Path:
    """A run of two epochs of 50 steps, with gradients and samples of its machine."""
    info = {"argv": ["torchdeck"], "environment": {"device": "cpu", "precision": "fp32"}}
    writer = RunWriter.create(root, load_config("digits", []), info)
    writer.update_state(epochs=2, total_steps=100, steps_per_epoch=50, status="running", phase="training")
    writer.probe({"kind": "layout", "paths": ["a", "b"]})
    for epoch in (1, 2):
        place = {"epoch": epoch, "step": 50 * epoch, "t": 60.0 * epoch, "seconds": 60.0, "lr": 0.003}
        losses = [1 / step for step in range(50 * epoch - 49, 50 * epoch + 1)]
        accuracy = [1 - loss for loss in losses]
        writer.record({"kind": "train", "samples": 3200, "loss": losses, "accuracy": accuracy, **place})
        norms = {"gradient": [3.0, 4.0], "weight": [1.0, 1.0], "update": [0.1, 0.1]}
        writer.probe({"kind": "gradients", "step": 50 * epoch, **norms})
        validation = {"loss": 0.5 / epoch, "accuracy": 0.9, "macro_f1": 0.875}
        train = {"loss": losses[-1], "accuracy": accuracy[-1]}
        writer.record({"kind": "epoch", "train": train, "validation": validation, "is_best": epoch == 2, **place})
    writer.update_state(epoch=2, step=100, step_in_epoch=50, seconds={"computing": 90.0, "data": 10.0})
    writer.event("set", key="optimizer.lr", before=0.01, after=0.003, step=60)
    sample = {"kind": "system", "time": 1.0, "step": 50, "cpu": 1.5, "memory": 2e9, "memory_free": 6e9, "gpu": None}
    (writer.path / "system.jsonl").write_text(f"{sample}\n".replace("'", '"').replace("None", "null"))
    writer.close(status, "ValueError: first\nsecond" if status == "failed" else None)
    return writer.path


def run_with_checkpoints(root: Path, name: str, epochs: int, status: str, error: str | None = None) -> Path:
    """A run of epochs of 20 steps, each saved two hours before `NOW`."""
    import torch

    config = load_config("digits", [f"name={name}"])
    writer = RunWriter.create(root, config, {"argv": ["torchdeck"]})
    writer.update_state(epochs=15, total_steps=15 * 20, steps_per_epoch=20, status="running", phase="training")
    for epoch in range(1, epochs + 1):
        steps = range((epoch - 1) * 20 + 1, epoch * 20 + 1)
        losses = [2.3 * math.exp(-step / 60) + 0.05 * math.sin(step) ** 2 for step in steps]
        writer.record(
            {
                "kind": "train",
                "epoch": epoch,
                "step": epoch * 20,
                "t": epoch * 1.0,
                "seconds": 1.0,
                "samples": 1280,
                "loss": losses,
                "accuracy": [1 - loss / 2.5 for loss in losses],
                "lr": 0.003,
            }
        )
        validation = {"loss": losses[-1] * 1.1, "accuracy": 1 - losses[-1] / 2.4, "macro_f1": 1 - losses[-1] / 2.3}
        writer.record(
            {
                "kind": "epoch",
                "epoch": epoch,
                "step": epoch * 20,
                "t": epoch * 1.0,
                "seconds": 1.2,
                "lr": 0.003,
                "train": {"loss": losses[-1], "accuracy": 1 - losses[-1] / 2.5},
                "validation": validation,
                "is_best": True,
            }
        )
        weights = {"w": torch.zeros(1000)}
        state = {"torchdeck_format": 1, "epoch": epoch, "metrics": validation, "model_state_dict": weights}
        writer.save_checkpoint(state, step=epoch * 20, epoch=epoch, metrics=validation, reason="epoch", is_best=True)
        writer.flush()
        writer.update_state(epoch=epoch, step=epoch * 20, step_in_epoch=20)
    writer.close(status, error)
    # The second part of the name is the time and the third is random.
    path = root / f"{name}-20231114-221320-abcd"
    writer.path.rename(path)
    for file in (path / "checkpoints").iterdir():
        os.utime(file, (NOW - 7200, NOW - 7200))
    return path
