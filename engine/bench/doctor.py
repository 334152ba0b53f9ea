"""Check what works for training on this machine, with advice for what doesn't."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil

from ..machine.torch_import import torch_failure
from .finding import Finding


def examine_machine(runs_root: Path) -> list[Finding]:
    """Look at Python, torch, GPUs, compiler, memory and disk. A look that fails is a finding, not an error."""
    looks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("python", _python),
        ("torch", _torch),
        ("data sets", _data_sets),
        ("GPU", _gpus),
        ("processes", _processes),
        ("compile", _compiler),
        ("memory", _memory),
        ("disk", lambda: _disk(runs_root)),
    ]
    findings = []
    for subject, look in looks:
        try:
            findings += look()
        except Exception as error:
            findings.append(Finding(subject, "broken", f"{type(error).__name__}: {error}", "reinstall it"))
    return findings


def _python() -> list[Finding]:
    return [Finding("python", "ok", f"{platform.python_version()} ({sys.executable}), {platform.system()}")]


def _torch() -> list[Finding]:
    if failure := torch_failure():
        advice = "reinstall it; runs can be read without it"
        return [Finding("torch", "broken", f"can't be imported: {failure}", advice)]
    import torch
    import torchvision

    build = f"CUDA {torch.version.cuda} build" if torch.version.cuda else "CPU build"
    return [
        Finding("torch", "ok", f"{torch.__version__} ({build}), {torch.get_num_threads()} CPU threads"),
        Finding("torchvision", "ok", str(torchvision.__version__)),
    ]


def _data_sets() -> list[Finding]:
    from ..data.datasets.torchvision.changes import catalog_changes
    from ..data.datasets.torchvision.table import ROWS

    if changes := catalog_changes():
        return [Finding("data sets", "limited", "; ".join(changes), "the others work; look for a newer torchdeck")]
    return [Finding("data sets", "ok", f"torchvision has all {len(ROWS)} data sets of the catalog")]


def _gpus() -> list[Finding]:
    import torch

    driver = _driver_version()
    if not torch.cuda.is_available():
        if driver is None:
            return [Finding("GPU", "limited", "no NVIDIA driver", "training runs on the CPU")]
        reason = f"driver {driver} is installed, but torch can't use it"
        if torch.version.cuda is None:
            advice = "this torch is a CPU build: install the CUDA build"
        else:
            advice = f"torch was built for CUDA {torch.version.cuda}: the driver may be too old for it"
        return [Finding("GPU", "broken", reason, advice)]
    findings = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        bf16 = ", bf16" if torch.cuda.get_device_capability(index) >= (8, 0) else ""
        text = f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free{bf16}, driver {driver}"
        findings.append(Finding(f"GPU {index}", "ok", text))
    return findings


def _processes() -> list[Finding]:
    if torch_failure():
        return []
    from .interconnect import examine_processes

    return examine_processes()


def _driver_version() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _compiler() -> list[Finding]:
    compiler = next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)
    if compiler is None:
        return [
            Finding(
                "compile",
                "limited",
                "no C++ compiler",
                "training.compile needs one on the CPU: apt-get install g++",
            )
        ]
    return [Finding("compile", "ok", f"C++ compiler {compiler}")]


def _memory() -> list[Finding]:
    memory = psutil.virtual_memory()
    findings = [Finding("memory", "ok", f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free")]
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        enough = free >= 2**30
        advice = "" if enough else "DataLoader workers and NCCL need it: start the container with a larger --shm-size"
        verdict: Literal["ok", "limited"] = "ok" if enough else "limited"
        findings.append(Finding("shared memory", verdict, f"{free / 2**30:.1f} GiB free in {shared}", advice))
    return findings


def _disk(runs_root: Path) -> list[Finding]:
    folder = runs_root.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    if not os.access(folder, os.W_OK):
        return [Finding("disk", "broken", f"{folder} can't be written", "choose another folder with --runs")]
    if free < 1:
        return [Finding("disk", "limited", f"{free:.1f} GiB free in {folder}", "checkpoints will fill it")]
    return [Finding("disk", "ok", f"{free:.1f} GiB free in {folder}")]
