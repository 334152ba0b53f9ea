"""Estimate the device memory of one training step without allocating it.

The step is run on tensors without values (torch's FakeTensorMode), by the code that trains, and every storage is
counted from the operation that makes it to its end: what autograd saves for the backward pass is what it really saves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..config import ModelConfig, RunConfig
from ..errors import ConfigError, TorchdeckError
from ..inputs import Inputs, call_model, map_tensors, one_sample
from ..machine.free_memory import available_memory
from ..models.architecture import build_for_shapes
from ..models.module_tree import default_input_shape, inspect_model
from ..models.tree.live_memory import LiveMemory
from ..models.tree.meta_build import replace_tensors
from ..randomness import generators_kept
from ..shapes import Shape
from ..training.compute.objective import class_objective
from ..training.compute.placement import Placement, choose_placement
from ..training.compute.step import TrainStep
from ..training.optimization.ema import AveragedWeights
from ..training.optimization.optimizers import build_optimizer
from .convolution_columns import column_bytes

USABLE = 0.9
"""Fraction of the free memory that an estimate may use: estimates are within 10 % of the measured peak."""

_GPU_GRANULE, _CPU_GRANULE = 512, 64
_LARGEST_BATCH = 1 << 20
_LOOKS = 6
# A batch so much larger than the best is not looked for.
_NEAR = 1.01


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a training step in bytes, at the moment when it takes the most. The parts add up to `peak`.

    Attributes:
        batch_size: samples per batch; of several processes, of one's part.
        precision: the resolved precision.
        device: where it would be trained: cpu, cuda:0, …
        parameters: weights, trained or not.
        buffers: running statistics and the like.
        optimizer_state: momentum and the like.
        averages: the moving average of the weights, where the run keeps one.
        gradients: gradients at that moment.
        activations: bytes of tensors kept for the backward pass, the batch itself, and temporaries.
        peak: all of it.
        evaluation_peak: weights, optimizer state and what an evaluation batch takes at its peak.
        free: free bytes of the device now, before any of it is allocated.
    """

    batch_size: int
    precision: str
    device: str
    parameters: int
    buffers: int
    optimizer_state: int
    averages: int
    gradients: int
    activations: int
    peak: int
    evaluation_peak: int
    free: int

    @property
    def fits(self) -> bool:
        """Whether the estimate leaves the margin that an estimate needs."""
        return self.peak <= self.free * USABLE


def estimate_memory(
    config: RunConfig, num_classes: int | None = None, input_shape: Shape | None = None, example: Inputs | None = None
) -> MemoryEstimate:
    """Estimate the memory of a run's training step: its batch size, precision, optimizer, clipping, accumulation.

    Of several processes, what one of them takes. It is less than the estimate with `parallel.strategy = "fsdp"`, and
    with a compiled model, which keeps less for the backward pass.

    Args:
        config: the run.
        num_classes: number of classes; None for the model's own.
        input_shape: shape of one sample; None for the model's own.
        example: a batch as the model takes it, for the types of its tensors; None for floats.

    Raises:
        ConfigError, UserCodeError: a setting that is wrong, or a model that computes with values.
    """
    shape = input_shape if input_shape is not None else default_input_shape(config.model)
    classes = num_classes or classes_of(config.model, shape)
    return _estimate(_of_one_process(config), classes, shape, example, with_evaluation=True)


def _of_one_process(config: RunConfig) -> RunConfig:
    """The config with the part of a batch that a process computes."""
    parallel = config.parallel
    processes = len(parallel.devices) or parallel.processes or max(1, torch.cuda.device_count())
    samples = -(-config.loader.batch_size // (processes * parallel.machines))
    return config.model_copy(update={"loader": config.loader.model_copy(update={"batch_size": samples})})


def largest_batch(
    config: RunConfig,
    num_classes: int | None = None,
    input_shape: Shape | None = None,
    example: Inputs | None = None,
    *,
    limit: int = 0,
    usable: int = 0,
) -> MemoryEstimate | None:
    """The largest batch that fits by estimate, in what is free now less a tenth; None when not even one sample does.

    The evaluation is left out of it: it has a batch size of its own.

    Args:
        config: the run; its batch size is where the search begins.
        num_classes: number of classes; None for the model's own.
        input_shape: shape of one sample; None for the model's own.
        example: a batch as the model takes it, for the types of its tensors; None for floats.
        limit: never more than this, such as the number of samples there are; 0 for no limit.
        usable: bytes that a step may take; 0 for nine tenths of what is free.

    Raises:
        ConfigError, UserCodeError: as `estimate_memory`.
    """
    shape = input_shape if input_shape is not None else default_input_shape(config.model)
    classes = num_classes or classes_of(config.model, shape)
    most = limit or _LARGEST_BATCH
    # Measured once: what others take meanwhile would move the goal from look to look.
    free = int(usable / USABLE) if usable else free_memory(choose_placement(config.training).device)
    best: MemoryEstimate | None = None
    looked: dict[int, MemoryEstimate] = {}
    wanted = min(config.loader.batch_size, most)
    for _ in range(_LOOKS):
        loader = config.loader.model_copy(update={"batch_size": wanted})
        sized = config.model_copy(update={"loader": loader})
        found = looked[wanted] = replace(_estimate(sized, classes, shape, example, with_evaluation=False), free=free)
        if found.fits and (best is None or wanted > best.batch_size):
            best = found
        wanted = _next_batch(looked, free * USABLE, most)
        if wanted in looked or (best is not None and best.batch_size <= wanted < best.batch_size * _NEAR):
            break
    return best


def _estimate(
    config: RunConfig, classes: int, shape: Shape, example: Inputs | None, *, with_evaluation: bool
) -> MemoryEstimate:
    sample = one_sample(shape) if example is None else example
    placement = choose_placement(config.training)
    is_gpu = placement.device.type != "cpu"
    # Weights and batch of the studied step lie on a processor without values, whatever device is meant.
    studied = replace(placement, device=torch.device("cpu"))
    with generators_kept(), _explained(config.model):
        model = build_for_shapes(config.model, classes, shape, sample)
        with FakeTensorMode():
            # Created in their memory format: meta tensors can't be converted to another.
            replace_tensors(model, partial(_without_values, channels_last=placement.channels_last))
            parts = _study(
                config, model.train(), studied, classes, sample, is_gpu=is_gpu, with_evaluation=with_evaluation
            )
    return replace(parts, device=str(placement.device), free=free_memory(placement.device))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device now: of the GPU, or for the CPU of the machine or the container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


def _next_batch(looked: dict[int, MemoryEstimate], usable: float, most: int) -> int:
    """Where to look next: on the line through the two largest batches looked at, rounded down to a multiple of 8."""
    sizes = sorted(looked)
    if len(sizes) == 1:
        return min(max(2, sizes[0] * 2), most)
    low, high = sizes[-2:]
    slope = (looked[high].peak - looked[low].peak) / (high - low)
    if slope <= 0:
        # Below some size the optimizer's step, which no batch makes larger, is what takes the most.
        return min(high * 4, most)
    wanted = math.floor(high + (usable - looked[high].peak) / slope)
    wanted = wanted // 8 * 8 if wanted > 16 else wanted
    return max(1, min(wanted, most))


def _without_values(tensor: Tensor, *, channels_last: bool) -> Tensor:
    if channels_last and tensor.ndim == 4:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", memory_format=torch.channels_last)
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")


def _study(
    config: RunConfig,
    model: nn.Module,
    placement: Placement,
    num_classes: int,
    sample: Inputs,
    *,
    is_gpu: bool,
    with_evaluation: bool,
) -> MemoryEstimate:
    """Run one step, the optimizer's state being there already, and read off the parts at its peak."""
    optimizer = build_optimizer(config.optimizer, model)
    if is_gpu:
        _as_on_gpu(optimizer)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    memory = LiveMemory(_GPU_GRANULE) if is_gpu else LiveMemory(_CPU_GRANULE, column_bytes)
    # An optimizer's scalars decide nothing about sizes.
    optimizer.register_step_pre_hook(lambda *_: setattr(memory, "answers_values", True))
    optimizer.register_step_post_hook(lambda *_: setattr(memory, "answers_values", False))
    with memory, _counted_gradients(trained, memory):
        for tensor in (*model.parameters(), *model.buffers()):
            memory.add(tensor)
        _make_state(optimizer, trained)
        before = memory.live
        kept = AveragedWeights(model, config.ema) if config.ema.decay else None
        averages = memory.live - before
        memory.restart()
        _train(config, model, optimizer, placement, num_classes, sample)
        peak, gradients = memory.peak, memory.gradients_at_peak
        memory.restart()
        if with_evaluation:
            _evaluate(model, placement, config.loader.eval_batch_size or max(config.loader.batch_size, 256), sample)
    del kept
    state = _bytes_of(value for values in optimizer.state.values() for value in values.values())
    parameters, buffers = _bytes_of(model.parameters()), _bytes_of(model.buffers())
    return MemoryEstimate(
        batch_size=config.loader.batch_size,
        precision=placement.precision,
        device="",
        parameters=parameters,
        buffers=buffers,
        optimizer_state=state,
        averages=averages,
        gradients=gradients,
        activations=peak - parameters - buffers - state - averages - gradients,
        peak=peak,
        evaluation_peak=memory.peak,
        free=0,
    )


def _train(
    config: RunConfig,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    placement: Placement,
    num_classes: int,
    sample: Inputs,
) -> None:
    """One step of the run. A second accumulated batch meets the gradients of the first; further ones only wait."""
    objective = class_objective(num_classes, torch.device("cpu"))
    step = TrainStep.of(config, model, optimizer, objective, placement)
    # It asks for values, and takes no memory to speak of.
    step.scaler = None
    size, accumulate = config.loader.batch_size, config.training.accumulate
    waiting = [_batch(size, sample) for _ in range(accumulate - 2)]
    targets = torch.empty(size, dtype=torch.int64)
    step([(_batch(size, sample), targets) for _ in range(min(accumulate, 2))])
    del waiting


def _make_state(optimizer: torch.optim.Optimizer, trained: Sequence[nn.Parameter]) -> None:
    """What the first step allocates lazily."""
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _as_on_gpu(optimizer: torch.optim.Optimizer) -> None:
    """Without a fused form, torch processes all tensors together on a GPU, with temporaries for all of them."""
    for group in optimizer.param_groups:
        if group.get("foreach") is None and not group.get("fused"):
            group["foreach"] = True


def _batch(size: int, sample: Inputs) -> Inputs:
    """A batch on the meta device."""
    batch: Inputs = map_tensors(lambda tensor: torch.empty(size, *tensor.shape[1:], dtype=tensor.dtype), sample)
    return batch


def _evaluate(model: nn.Module, placement: Placement, batch_size: int, sample: Inputs) -> None:
    model.eval()
    autocast = torch.autocast("cpu", dtype=placement.autocast_dtype, enabled=placement.autocast_dtype is not None)
    with torch.no_grad(), autocast:
        call_model(model, _batch(batch_size, sample))


@contextmanager
def _counted_gradients(trained: Sequence[nn.Parameter], memory: LiveMemory) -> Iterator[None]:
    """Keep the bytes of the gradients that live."""

    def appeared(parameter: Tensor) -> None:
        if id(parameter) not in known and parameter.grad is not None:
            known.add(id(parameter))
            memory.gradients += parameter.grad.untyped_storage().nbytes()

    known: set[int] = set()
    handles = [parameter.register_post_accumulate_grad_hook(appeared) for parameter in trained]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _explained(config: ModelConfig) -> Iterator[None]:
    """Turn what a model without values raises into an error that says what to do."""
    try:
        yield
    except TorchdeckError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ConfigError(
            f"model {config.name}: its memory can't be estimated without running it "
            f"({type(error).__name__}: {reason[0] if reason else ''}); measuring a real step can"
        ) from error


def classes_of(config: ModelConfig, shape: Shape) -> int:
    """The number of scores that the model returns by itself. Raises ConfigError."""
    report = inspect_model(config, None, shape)
    if not report.output_shapes or len(report.output_shapes[0]) != 2:
        raise ConfigError(
            f"model {config.name}: {report.error or f'returns {report.output_shapes}'}; "
            "training needs one tensor of [batch, classes]"
        )
    return report.output_shapes[0][1]


def _bytes_of(values: Iterable[object]) -> int:
    """Bytes of the tensors among the values, a shared storage once."""
    sizes = {
        value.untyped_storage()._cdata: value.untyped_storage().nbytes()
        for value in values
        if isinstance(value, Tensor)
    }
    return sum(sizes.values())
