"""The table of verbs. It imports nothing heavy, so that the command starts at once."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One verb.

    Attributes:
        module: module of this package with its command, imported when the verb is used.
        command: name of the click command in that module.
        help: one line of help.
    """

    module: str
    command: str
    help: str


VERBS = {
    "train": Verb("train", "train", "Train a preset or a TOML file without the studio."),
    "resume": Verb("train", "resume", "Resume a run, bit for bit."),
    "fork": Verb("train", "fork", "Start a new run from the state or the weights of another, with changed settings."),
    "run": Verb("run_program", "run", "Run any program as a run: torchdeck run -- python train.py."),
    "attach": Verb("attach", "attach", "Open the studio on a run that trains in another process."),
    "runs": Verb("runs", "runs", "List all runs."),
    "show": Verb("runs", "show", "Show one run: config, state, metrics, checkpoints."),
    "metrics": Verb("metrics", "metrics", "Write a run's metrics as CSV, JSON or TensorBoard event files."),
    "send": Verb("runs", "send", "Send a command to a live run."),
    "pin": Verb("keeping", "pin", "Keep a checkpoint whatever its run saves later."),
    "unpin": Verb("keeping", "unpin", "Let the run's own rules decide about a checkpoint again."),
    "tag": Verb("keeping", "tag", "Add or remove tags of a run."),
    "note": Verb("keeping", "note", "Write a note about a run."),
    "rename": Verb("keeping", "rename", "Rename a run."),
    "delete": Verb("keeping", "delete", "Delete a run or a checkpoint."),
    "sweep": Verb("sweep", "sweep", "Search settings: many runs of one file, by Optuna."),
    "queue": Verb("queue", "queue", "Queue runs for the GPUs of this machine; each starts when one is free."),
    "slurm": Verb("slurm", "slurm", "Print or submit a SLURM job that trains a run, on any number of machines."),
    "model": Verb("model", "model", "Show the module tree of a model, with parameter counts."),
    "checkpoint": Verb("checkpoint", "checkpoint", "Show what is inside a checkpoint, without loading it."),
    "evaluate": Verb("evaluate", "evaluate", "Evaluate a checkpoint: metrics, classes, confusion, worst mistakes."),
    "compare": Verb("evaluate", "compare", "Compare two checkpoints: settings, metrics, distance of their weights."),
    "export": Verb("export", "export", "Export weights or a model for other programs: safetensors, pt2, ONNX."),
    "batch": Verb("batch", "batch", "Show what the model sees at a step: samples, inputs, targets."),
    "download": Verb("download", "download", "Download a data set; continues where it was interrupted."),
    "list": Verb("catalogs", "list_catalog", "List data sets, transforms, models, presets, optimizers, …"),
    "lr-find": Verb("lr_find", "lr_find", "Find a learning rate: a short test with growing rates."),
    "batch-find": Verb("batch_find", "batch_find", "Find the largest batch that fits, by real steps."),
    "completion": Verb("completion", "completion", "Print a shell's completion script: bash, zsh or fish."),
    "bench": Verb("bench", "bench", "Benchmark training on this machine against other loops."),
    "doctor": Verb("doctor", "doctor", "Check what works on this machine, and how to fix what doesn't."),
}


def names_a_verb(arguments: list[str]) -> bool:
    """Whether a command line starts with a verb; a verb's name may also be the value of a studio option."""
    return bool(arguments) and arguments[0] in VERBS
