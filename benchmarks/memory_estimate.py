"""The estimated memory of a training step against the memory of a real step, each in a separate process.

    uv run python benchmarks/memory_estimate.py [--device cpu] [--precision fp32] [--models resnet18,vit_b_16]

On the CPU, what is measured is the highest point of torch's allocator, from the profiler's memory events; on a GPU it
is `torch.cuda.max_memory_allocated`. Prints both and their ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchdeck.engine.config import RunConfig

CLASSES = 10
CASES = {
    "resnet18": ((3, 224, 224), 8),
    "resnet50": ((3, 224, 224), 8),
    "vit_b_16": ((3, 224, 224), 8),
    "convnext_tiny": ((3, 224, 224), 8),
    "mobilenet_v3_large": ((3, 224, 224), 16),
    "cnn": ((1, 28, 28), 256),
    "densenet121": ((3, 224, 224), 8),
}


def main() -> int:
    """Print one line per model; return 1 if an estimate is off by more than 10 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--optimizer", default="AdamW")
    parser.add_argument("--models", default=",".join(list(CASES)[:5]))
    parser.add_argument("--recompute", default="", metavar="PATTERN", help='training.recompute, such as "auto"')
    parser.add_argument("--measure", metavar="MODEL", help="measure one model in this process, as JSON")
    options = parser.parse_args()
    if options.measure:
        measure(options)
        return 0
    print(f"{'model':<20} {'batch':>5} {'estimate':>10} {'measured':>10} {'ratio':>6} {'estimated in':>13}")
    worst = 0.0
    for name in options.models.split(","):
        began = time.process_time()
        estimate = estimated(name, options)
        seconds = time.process_time() - began
        arguments = [sys.executable, __file__, *sys.argv[1:], "--measure", name]
        result = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        measured = json.loads(result.stdout.splitlines()[-1])["peak"]
        worst = max(worst, abs(estimate / measured - 1))
        print(
            f"{name:<20} {CASES[name][1]:>5} {estimate / 2**20:>6.0f} MiB {measured / 2**20:>6.0f} MiB"
            f" {estimate / measured:>6.3f} {seconds:>7.1f} s CPU",
            flush=True,
        )
    return 1 if worst > 0.1 else 0


def config_of(name: str, options: argparse.Namespace) -> RunConfig:
    """The run of one case."""
    from torchdeck.engine.config.file import parse_config

    overrides = [
        f"model.name={name}",
        f"loader.batch_size={CASES[name][1]}",
        f"optimizer.name={options.optimizer}",
        f"training.device={options.device}",
        f"training.precision={options.precision}",
        f"training.recompute={json.dumps([options.recompute] if options.recompute else [])}",
    ]
    return parse_config("", "benchmark", overrides)


def estimated(name: str, options: argparse.Namespace) -> int:
    """Bytes at the peak, by estimate."""
    from torchdeck.engine.preflight.memory_estimate import estimate_memory

    return estimate_memory(config_of(name, options), CLASSES, CASES[name][0]).peak


def measure(options: argparse.Namespace) -> None:
    """Bytes at the peak of a real step."""
    from dataclasses import asdict

    from torchdeck.engine.preflight.measured_step import measure_spec

    name = options.measure
    print(json.dumps(asdict(measure_spec(config_of(name, options), CLASSES, CASES[name][0]))))


if __name__ == "__main__":
    sys.exit(main())
