"""Hardware, software and settings that a bit-exact resume depends on, recorded and compared on a resume."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..config import MirrorConfig, NotifyConfig, RunConfig
from ..config.changed_settings import changed_settings
from ..config.code_names import code_names
from ..config.file import parse_config
from ..data.datasets.sources import DataSources
from ..user_code import is_user_spec
from ..user_path import user_path
from .compute.placement import Placement
from .optimization.schedules import depends_on_length

_MEANING = {
    "torch": "torch",
    "torchvision": "torchvision",
    "device": "device",
    "gpu": "GPU",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "cpu": "processor",
    "num_threads": "torch's CPU threads",
    "processes": "processes",
    "precision": "precision",
    "compile": "compilation",
    "deterministic": "deterministic mode",
    "channels_last": "memory format",
    "user_code": "your own code",
}

# Settings that don't change what is computed, or whose effect the environment above records.
_NEUTRAL = {
    "name",
    "start_from",
    "data.root",
    "data.download",
    "data.cache",
    "loader.num_workers",
    "loader.prefetch_factor",
    "loader.pin_memory",
    "loader.persistent_workers",
    "loader.timeout",
    "loader.eval_batch_size",
    "ema.decides_best",
    "evaluation.top_k",
    "evaluation.threshold",
    "evaluation.calibration_bins",
    "training.device",
    "training.precision",
    "training.compile",
    "training.compile_mode",
    "training.compile_dynamic",
    "training.channels_last",
    "training.recompute",
    "training.deterministic",
    "training.num_threads",
    "training.probe_every",
    "parallel.processes",
    "parallel.devices",
    "parallel.machines",
    "parallel.restarts",
    "parallel.timeout_minutes",
    "parallel.meeting_minutes",
    "checkpoint.every_epochs",
    "checkpoint.every_steps",
    "checkpoint.every_minutes",
    "checkpoint.keep_last",
    "checkpoint.keep_every",
    "checkpoint.best_metric",
    "checkpoint.requeue",
    *(f"notify.{field}" for field in NotifyConfig.model_fields),
    *(f"mirror.{field}" for field in MirrorConfig.model_fields),
}


def describe_environment(config: RunConfig, placement: Placement) -> dict[str, Any]:
    """The hardware and software a run computes with, as plain values."""
    is_cuda = placement.device.type == "cuda"
    return {
        "torch": str(torch.__version__),
        "torchvision": version("torchvision"),
        "device": placement.device.type,
        "gpu": torch.cuda.get_device_name(placement.device) if is_cuda else "",
        "cuda": str(torch.version.cuda or "") if is_cuda else "",
        "cudnn": int(torch.backends.cudnn.version() or 0) if is_cuda else 0,
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "num_threads": placement.num_threads,
        # In shards that are added up exactly, their number changes nothing.
        "processes": 1 if config.parallel.exact_shards else placement.processes,
        "precision": placement.precision,
        "compile": _compilation(config),
        "deterministic": placement.deterministic,
        "channels_last": placement.channels_last,
        "user_code": _user_code(config),
    }


def _compilation(config: RunConfig) -> str:
    """How the model is compiled."""
    training = config.training
    if not training.compile:
        return "off"
    dynamic = training.compile_dynamic
    return training.compile_mode if dynamic == "auto" else f"{training.compile_mode}, dynamic {dynamic}"


def _user_code(config: RunConfig) -> str:
    """The user's own files that the config names, each with the beginning of its hash; empty when there are none."""
    weights = user_path(config.loader.weights)
    files = sorted(
        {user_path(spec.rpartition(":")[0]) for spec in code_names(config) if ":" in spec and is_user_spec(spec)}
        | {path for path in [weights] if path.is_file()}
    )
    return ", ".join(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()[:8]}" for file in files)


@dataclass(frozen=True)
class Conditions:
    """Environment that a bit-exact result depends on, besides the state that training starts from.

    Attributes:
        config: the run's config.
        environment: hardware and software, from `describe_environment`.
        fingerprint: hash of samples, labels and split.
    """

    config: RunConfig
    environment: dict[str, Any]
    fingerprint: str

    @classmethod
    def now(cls, config: RunConfig, placement: Placement, sources: DataSources) -> Conditions:
        """Those of a run in this process."""
        return cls(config, describe_environment(config, placement), sources.fingerprint)

    @classmethod
    def saved_in(cls, checkpoint: Mapping[str, Any], path: Path) -> Conditions:
        """Those under which a checkpoint, the content of the file at `path`, was made. Raises ConfigError."""
        config = parse_config(checkpoint["config"], str(path))
        return cls(config, checkpoint["environment"], checkpoint["data_fingerprint"])


def inexact_because(saved: Conditions, now: Conditions) -> list[str]:
    """Why continuing from a checkpoint would not give the very bits of the uninterrupted run; empty when it does."""
    config, environment = now.config, now.environment
    reasons = [
        f"{meaning}: {saved.environment.get(key)} → {environment[key]}"
        for key, meaning in _MEANING.items()
        if key in saved.environment and saved.environment[key] != environment[key]
    ]
    for key, (before, after) in changed_settings(saved.config, config).items():
        if key not in _NEUTRAL and not _only_lengthens(key, config):
            reasons.append(f"{key}: {before} → {after}")
    if environment["device"] == "cuda" and not environment["deterministic"]:
        reasons.append("training.deterministic is off: GPU kernels may add in a different order")
    if config.training.compile and config.training.compile_mode.startswith("max-autotune"):
        reasons.append("training.compile_mode times kernels whenever a run starts, and may choose different ones")
    if saved.fingerprint != now.fingerprint:
        reasons.append("the data: samples, labels or split differ from those the checkpoint was trained on")
    return reasons


def _only_lengthens(key: str, config: RunConfig) -> bool:
    """More epochs change nothing before the old end, unless the schedule is stretched over them."""
    return key == "training.epochs" and not depends_on_length(config.schedule)
