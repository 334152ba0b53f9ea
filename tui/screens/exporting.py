"""Exporting from the studio: ask for a file, write it in the worker process, report the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.app import App

from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.user_path import user_path

from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.figures import byte_size
from .ask import PromptScreen

_EXPLANATION = (
    "The suffix sets the format: .safetensors, .pt or .pth for the weights by name,\n"
    ".pt2 (torch.export) or .onnx for the model as a program."
)


async def ask_and_export(app: App[Any], worker: WorkerProcess, checkpoint: Path, *, averaged: bool) -> None:
    """Ask for a file until the export succeeds or the user cancels; the worker process writes it."""
    which = "averaged (EMA) weights" if averaged else "weights or model"
    value, error = f"{checkpoint.stem}.safetensors", ""
    while True:
        screen = PromptScreen(f"Export the {which} of {checkpoint.name} to", _EXPLANATION, value, error=error)
        answer = await app.push_screen_wait(screen)
        if not answer:
            return
        value = answer
        app.notify(f"exporting to {answer} …")
        try:
            report = await worker.call(
                worker_calls.EXPORT_CHECKPOINT,
                checkpoint,
                user_path(answer),
                averaged=averaged,
            )
        except (TorchdeckError, WorkerError) as problem:
            error = str(problem)
            continue
        words = f"{report.path}: {report.format}, {byte_size(report.bytes)}; {report.checked}"
        app.notify(words, title="exported", timeout=10)
        return
