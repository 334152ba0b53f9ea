"""Placement of a run: device, precision, threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psutil
import torch

from ...config import RunConfig, TrainingConfig
from ...distributed.ranks import Ranks
from ...errors import ConfigError
from ...machine.cores import available_cores
from ...machine.device import choose_device, device_of_rank

# cuBLAS is deterministic with a fixed workspace only; torch refuses deterministic products without it.
_CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

CUDA_GRAPH_MODES = ("reduce-overhead", "max-autotune")
"""Modes of torch.compile in which the next step overwrites the memory of a model's output."""


@dataclass(frozen=True)
class Placement:
    """Resolved hardware settings of a run.

    Attributes:
        device: where the model and the batches live.
        precision: "fp32", "tf32", "bf16" or "fp16", with "auto" resolved.
        autocast_dtype: the dtype of autocast regions, None without autocast.
        num_threads: intra-operation threads of torch on the CPU.
        channels_last: whether images and weights are in channels-last memory format.
        deterministic: whether only deterministic kernels are allowed.
        processes: processes that train together.
    """

    device: torch.device
    precision: str
    autocast_dtype: torch.dtype | None
    num_threads: int
    channels_last: bool
    deterministic: bool
    processes: int = 1

    @property
    def uses_grad_scaler(self) -> bool:
        """fp16 gradients underflow without loss scaling; bf16 has the range of fp32."""
        return self.autocast_dtype is torch.float16


def choose_placement(config: TrainingConfig) -> Placement:
    """Resolve "auto" settings against this machine. Raises ConfigError for what it doesn't have."""
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    return Placement(
        device=device,
        precision=precision,
        autocast_dtype={"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision),
        num_threads=config.num_threads or default_num_threads(),
        channels_last=config.channels_last,
        deterministic=config.deterministic,
    )


def placement_of_rank(config: RunConfig, ranks: Ranks) -> Placement:
    """The placement of one of a run's processes: its own GPU, its share of the machine's cores.

    In shards that are added up exactly, the bits depend on the number of threads, which must not follow from the
    number of processes: it is 1 unless `training.num_threads` says otherwise.

    Raises:
        ConfigError: what the machine doesn't have, or a device that several processes can't have.
    """
    training, parallel = config.training, config.parallel
    if ranks.world > 1 or parallel.devices:
        device = device_of_rank(training.device, parallel.devices, ranks.local_rank, ranks.local_world)
        training = training.model_copy(update={"device": device})
    placement = choose_placement(training)
    threads = placement.num_threads
    if not training.num_threads:
        threads = 1 if parallel.exact_shards else max(1, threads // ranks.local_world)
    return replace(placement, num_threads=threads, processes=ranks.world)


def compile_notes(config: TrainingConfig, device: torch.device) -> list[str]:
    """What a mode of torch.compile does not do on a device, where it says it does."""
    if not config.compile or device.type == "cuda" or config.compile_mode not in CUDA_GRAPH_MODES:
        return []
    instead = "default" if config.compile_mode == "reduce-overhead" else "max-autotune-no-cudagraphs"
    return [
        f'training.compile_mode = "{config.compile_mode}" records CUDA graphs, which {device.type} does not support: '
        f'compiled with "{instead}" instead'
    ]


def choose_precision(name: str, device: torch.device) -> str:
    """The precision that `name` asks for on `device`; "auto" is bf16 on GPUs that have it, else fp32.

    Raises:
        ConfigError: tf32 or fp16 on a device without it.
    """
    if name == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return "bf16" if has_bf16 else "fp32"
    if name == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0)):
        raise ConfigError(
            f"training.precision = 'tf32': {device} has no TF32 units (NVIDIA GPUs since Ampere do); use fp32 or bf16"
        )
    if name == "fp16" and device.type == "cpu":
        _check_fp16_on_cpu()
    return name


def _check_fp16_on_cpu() -> None:
    """Raise ConfigError if this torch has no fp16 kernels for the processor, found by a small step."""
    images, kernel = torch.ones(2, 1, 8, 8), torch.ones(2, 1, 3, 3, requires_grad=True)
    try:
        with torch.enable_grad(), torch.autocast("cpu", dtype=torch.float16):
            features = torch.nn.functional.conv2d(images, kernel).flatten(1)
            (features @ features.T).sum().backward()
    except RuntimeError as error:
        reason = str(error).split("\n", 1)[0]
        raise ConfigError(
            f"training.precision = 'fp16': torch does not support it on this processor ({reason}); use fp32 or bf16"
        ) from error


def gpu_uuid_of(device: torch.device) -> str:
    """The name that NVML has for a GPU; empty for other devices."""
    return str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else ""


def default_num_threads() -> int:
    """Physical cores that this process may use, less one for the screen and the writer, at least 1.

    The same number headless and in the studio: the order of float additions, and so the result, depends on it.
    """
    allowed = available_cores()
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical) - 1)


@contextmanager
def placed(placement: Placement) -> Iterator[None]:
    """Apply a placement to the calling thread and to torch's process-wide switches; undo it afterwards.

    Grad mode, autocast and the current device belong to a thread, so the engine's thread sets its own.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cublas_workspace = os.environ.get(_CUBLAS_WORKSPACE)
    matmul_precision = torch.get_float32_matmul_precision()
    cudnn_tf32, cudnn_benchmark = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    allows_tf32 = placement.precision != "fp32"
    try:
        torch.set_num_threads(placement.num_threads)
        if placement.deterministic:
            os.environ.setdefault(_CUBLAS_WORKSPACE, ":4096:8")
        torch.use_deterministic_algorithms(placement.deterministic)
        if placement.device.type == "cuda":
            torch.cuda.set_device(placement.device)
            torch.set_float32_matmul_precision("high" if allows_tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = allows_tf32
            torch.backends.cudnn.benchmark = not placement.deterministic
        with torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warns_only)
        if cublas_workspace is None:
            os.environ.pop(_CUBLAS_WORKSPACE, None)
        if placement.device.type == "cuda":
            torch.set_float32_matmul_precision(matmul_precision)
            torch.backends.cudnn.allow_tf32 = cudnn_tf32
            torch.backends.cudnn.benchmark = cudnn_benchmark
