"""Kills training processes at random moments and resumes them; prints how they compare with an uninterrupted run.

Run as a script: a process of its own, which imports torch once, has no threads, and forks one child per life of a run.
"""

import argparse
import json
import math
import os
import random
import select
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from torchdeck.engine.build import prepare
from torchdeck.engine.config.file import parse_config
from torchdeck.engine.launching.launch import launch, launch_resumed
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint
from torchdeck.engine.training import trainer  # noqa: F401  (imported before the first fork)

CONFIG = """
name = "kill"
seed = 3
callbacks = ["%(callback)s"]
[data]
dataset = "digits"
validation = 0.6
train_transforms = [
  { name = "RandomCrop", size = 8, padding = 1 },
  { name = "RandomHorizontalFlip" },
  { name = "Normalize", mean = [0.305], std = [0.376] },
  { name = "MixUp" },
]
eval_transforms = [ { name = "Normalize", mean = [0.305], std = [0.376] } ]
storage = "%(storage)s"
[loader]
batch_size = 16
num_workers = %(num_workers)d
[model]
name = "%(model)s"
[optimizer]
name = "AdamW"
lr = 2e-3
[schedule]
name = "CosineAnnealingLR"
warmup_epochs = 0.5
[training]
epochs = %(epochs)d
accumulate = %(accumulate)d
clip_norm = 1.0
precision = "%(precision)s"
compile = %(compile)s
device = "cpu"
[ema]
decay = 0.99
[evaluation]
every_steps = %(evaluate_every)d
[early_stopping]
patience = 1000
[checkpoint]
every_steps = 5
keep_last = 2
"""


# Draws random numbers, which must not change the run, and keeps a state of its own.
CALLBACK = """
import random, torch
class Counter:
    def __init__(self):
        self.losses = 0.0
    def on_step_end(self, run, loss):
        torch.rand(3), random.random()
        self.losses += float(loss)
    def state_dict(self):
        return {"losses": self.losses}
    def load_state_dict(self, state):
        self.losses = state["losses"]
"""


def in_child(work: Any) -> int:
    """Fork a child that does `work` and ends."""
    pid = os.fork()
    if pid == 0:
        log = os.open(os.devnull, os.O_WRONLY)
        os.dup2(log, 1)
        os._exit(work())
    return pid


def train(config_text: str, runs: Path) -> int:
    run = launch(parse_config(config_text, "kill"), runs)
    run.join()
    return 0 if run.status == "finished" else 1


def resume(path: Path, overrides: list[str]) -> int:
    run = launch_resumed(path, overrides=overrides)
    run.join()
    return 0 if run.status == "finished" else 1


def only_run(runs: Path) -> Path | None:
    found = [path for path in runs.iterdir() if (path / "run.toml").exists()] if runs.is_dir() else []
    return found[0] if found else None


def state_of(path: Path) -> dict[str, Any]:
    """Everything of the last checkpoint that has to be equal: times and the environment aside."""
    state = load_checkpoint(path / "checkpoints" / "last.pt")
    state["totals"] = {key: value for key, value in state["totals"].items() if key not in ("seconds", "epoch_began")}
    return {key: value for key, value in state.items() if key not in ("environment", "config", "rng")}


def history_of(path: Path) -> list[tuple[Any, ...]]:
    """Loss and accuracy of each step and each epoch, whatever blocks they were written in."""
    steps: list[tuple[Any, ...]] = []
    for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["kind"] == "train":
            first = record["step"] - len(record["loss"]) + 1
            values = zip(record["loss"], record["accuracy"], strict=True)
            steps += [("step", first + offset, *pair) for offset, pair in enumerate(values)]
        else:
            measured = [str(record.get(part)) for part in ("train", "validation", "ema", "is_best")]
            steps.append((record["kind"], record["epoch"], record["step"], *measured))
    return steps


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return bool(a == b)


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return sorted(key for key in a.keys() | b.keys() if key not in a or key not in b or not equal(a[key], b[key]))


def run_trial(
    config_text: str, runs: Path, lifetime: float, chance: random.Random, changes: list[str]
) -> tuple[Path, int]:
    """Train to the end through as many lives as it takes. Returns the run and the number of kills.

    `changes` are settings that must not matter, `KEY=ONE|OTHER`: each life has one or the other.
    """
    kills = 0
    while True:
        path = only_run(runs)
        has_checkpoint = path is not None and any((path / "checkpoints").glob("step-*.pt"))
        if path is not None and not has_checkpoint:
            # Killed before its first save: there is nothing to resume from, a new run has to be started.
            path.rename(path.parent.parent / f"dead-{kills}-{path.name}")
            path = None
        overrides = [
            f"{key}={chance.choice(values.split('|'))}" for key, _, values in (c.partition("=") for c in changes)
        ]
        pid = in_child(partial(train, config_text, runs) if path is None else partial(resume, path, overrides))
        end = os.pidfd_open(pid)
        select.select([end], [], [], chance.uniform(0, lifetime))
        os.close(end)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            kills += 1
            continue
        if os.waitstatus_to_exitcode(status) != 0:
            # A life that found the run finished already: killed between its last save and its end.
            path = only_run(runs)
        assert path is not None or only_run(runs) is not None
        return only_run(runs) or Path(), kills


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--evaluate-every", type=int, default=7, metavar="STEPS")
    parser.add_argument("--storage", default="auto")
    parser.add_argument("--num-workers", type=int, default=0)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--compile", action="store_const", const="true", default="false")
    parser.add_argument("--change", action="append", default=[], metavar="KEY=ONE|OTHER")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    result = {"seed": options.seed, "trials": options.trials, "kills": 0, "mismatches": []}
    with tempfile.TemporaryDirectory() as folder:
        callback = Path(folder) / "callback.py"
        callback.write_text(CALLBACK, encoding="utf-8")
        config_text = CONFIG % {**vars(options), "callback": f"{callback}:Counter"}
        prepare(parse_config(config_text, "kill"), lambda *_: None)
        whole = Path(folder) / "whole"
        began = time.monotonic()
        pid = in_child(lambda: train(config_text, whole))
        _, status = os.waitpid(pid, 0)
        lifetime = time.monotonic() - began
        assert os.waitstatus_to_exitcode(status) == 0, "the uninterrupted run failed"
        reference = only_run(whole)
        assert reference is not None
        expected, expected_history = state_of(reference), history_of(reference)
        for trial in range(10 * options.trials):
            # A run that was quicker than the uninterrupted one may have ended every time: then it is tried again.
            if trial >= options.trials and result["kills"]:
                break
            path, kills = run_trial(
                config_text, Path(folder) / f"trial-{trial}" / "runs", lifetime, chance, options.change
            )
            result["kills"] += kills
            wrong = differences(expected, state_of(path))
            if (history := history_of(path)) != expected_history:
                lost = [entry[:3] for entry in expected_history if entry not in history]
                extra = [entry[:3] for entry in history if entry not in expected_history]
                wrong.append(f"history: {len(lost)} lost {lost[:3]}, {len(extra)} extra {extra[:3]}")
            if wrong:
                result["mismatches"].append({"trial": trial, "differs": wrong})
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
