"""Sweeps that choose their values against sweeps that draw them, on the embedded digits.

    python benchmarks/sweep_samplers.py [--seeds N] [--trials N] [--jobs N] [--sampler NAME]

Every seed gives two sweeps, with the same number of trials, epochs and workers. Their best validation losses are
compared; what is told is how often the chosen values won.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SEARCH = """
name = "search"
[data]
dataset = "digits"
validation = 0.2
[model]
name = "mlp"
hidden = [64]
[optimizer]
name = "AdamW"
[training]
epochs = 3
device = "cpu"
num_threads = 1
[checkpoint]
every_epochs = 0
[sweep]
metric = "loss"
pruner = "none"
[sweep.space]
"optimizer.lr" = { low = 1e-5, high = 1.0, log = true }
"optimizer.weight_decay" = { low = 1e-5, high = 1.0, log = true }
"model.dropout" = { low = 0.0, high = 0.8 }
"training.clip_norm" = { low = 0.01, high = 10.0, log = true }
"loader.batch_size" = [16, 32, 64, 128, 256]
"""


def best_loss(folder: Path, sampler: str, seed: int, trials: int) -> float:
    """Run a sweep. Returns the lowest validation loss of its trials."""
    file = folder / f"{sampler}-{seed}.toml"
    file.write_text(SEARCH)
    settings = [f"sweep.sampler={sampler}", f"sweep.seed={seed}", f"sweep.trials={trials}"]
    command = [sys.executable, "-m", "torchdeck", "sweep", str(file), "--json", "--runs", str(folder / file.stem)]
    for setting in settings:
        command += ["--set", setting]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    sweep = json.loads(result.stdout)
    (best,) = (trial for trial in sweep["trials"] if trial["trial"] == sweep["best"])
    return float(best["values"][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2, help="sweeps at a time")
    parser.add_argument("--sampler", default="tpe")
    arguments = parser.parse_args()
    cases = [(sampler, seed) for seed in range(arguments.seeds) for sampler in (arguments.sampler, "random")]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        losses = pool.map(lambda case: best_loss(Path(folder), case[0], case[1], arguments.trials), cases)
        found = dict(zip(cases, losses, strict=True))
    wins = 0
    for seed in range(arguments.seeds):
        chosen, drawn = found[arguments.sampler, seed], found["random", seed]
        wins += chosen < drawn
        print(f"seed {seed}: {arguments.sampler} {chosen:.4f}, random {drawn:.4f}")
    print(
        f"{arguments.sampler} has the lower loss on {wins} of {arguments.seeds} seeds, {arguments.trials} trials each"
    )


if __name__ == "__main__":
    main()
