"""The module tree of a model against torchinfo's summary: CPU time, memory, and which of them is right.

    python benchmarks/model_trees.py [--models NAME …] [--all]

Every measurement is a process of its own, which imports torch first: the CPU seconds and the growth of its peak
memory from there to the finished report, for torchvision's published image size, one thread. They take turns, model
by model. Right is what torchvision publishes: parameters exactly, multiply-adds within half a percent. torchinfo is
measured where it is installed (pip install torchinfo).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torchdeck.engine.models.libraries.torchvision_table import TORCHVISION_MODELS

REPOSITORY = Path(__file__).resolve().parents[1]
A_FEW = ("resnet18", "resnet50", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t")
PUBLISHED = {row[0]: row for row in TORCHVISION_MODELS}

_MEASURE = """
import json, resource, sys, time
import torch, torchvision
torch.set_num_threads(1)
torch.zeros(1, device="meta").add(1)
name, side, tool = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if tool == "torchdeck":
    from torchdeck.engine.config import ModelConfig
    from torchdeck.engine.models.module_tree import inspect_model
else:
    import torchinfo
before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
if tool == "torchdeck":
    report = inspect_model(ModelConfig(name=name))
    found = {"params": report.params, "gflops": (report.flops or 0) / 1e9}
else:
    model = torchvision.models.get_model(name)
    summary = torchinfo.summary(model, (1, 3, side, side), verbose=0)
    found = {"params": summary.total_params, "gflops": 2 * summary.total_mult_adds / 1e9}
seconds = time.process_time() - begun
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({**found, "seconds": seconds, "megabytes": grown / 1024}))
"""


def measure(name: str, tool: str) -> dict[str, Any]:
    side = str(PUBLISHED[name][4])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-W", "ignore", "-c", _MEASURE, name, side, tool]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    _, params, multiply_adds, *_ = PUBLISHED[name]
    found["params_right"] = found["params"] == params
    found["gflops_right"] = abs(found["gflops"] / (2 * multiply_adds) - 1) <= 0.005
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(A_FEW), choices=list(PUBLISHED), metavar="NAME")
    parser.add_argument("--all", action="store_true", help="all of torchvision's classification models")
    arguments = parser.parse_args()
    tools = ["torchdeck"] + (["torchinfo"] if find_spec("torchinfo") else [])
    results: dict[str, list[dict[str, Any]]] = {tool: [] for tool in tools}
    print(f"{'model':<22}{'tool':<11}{'CPU s':>8}{'MB':>9}{'parameters':>14}{'GFLOPs':>9}")
    for name in list(PUBLISHED) if arguments.all else arguments.models:
        for tool in tools:
            found = measure(name, tool)
            results[tool].append(found)
            marks = ["" if found[key] else " ✗" for key in ("params_right", "gflops_right")]
            print(
                f"{name:<22}{tool:<11}{found['seconds']:>8.2f}{found['megabytes']:>9.1f}"
                f"{found['params']:>14,}{found['gflops']:>9.3g}{''.join(marks)}",
                flush=True,
            )
    for tool, measured in results.items():
        seconds = [each["seconds"] for each in measured]
        memory = [each["megabytes"] for each in measured]
        print(
            f"\n{tool}, {len(measured)} models: CPU {statistics.median(seconds):.2f} s, max {max(seconds):.2f}; "
            f"memory median {statistics.median(memory):.0f} MB, max {max(memory):.0f}; "
            f"as published: parameters {sum(each['params_right'] for each in measured)}, "
            f"multiply-adds {sum(each['gflops_right'] for each in measured)}"
        )


if __name__ == "__main__":
    main()
