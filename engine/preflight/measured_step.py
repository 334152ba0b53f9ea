"""A real training step, measured: its peak memory and its time. To be called in a process that does nothing else."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ..build import prepare
from ..config import RunConfig
from ..data.datasets.sources import DataSources
from ..data.loading.loaders import evaluation_loader, num_train_steps
from ..errors import ConfigError
from ..inputs import map_tensors, tensors_of
from ..models.build import build_with_notes
from ..randomness import seed_everything
from ..training.compute.objective import Objective, class_objective
from ..training.compute.placement import Placement, choose_placement, placed
from ..training.compute.step import Batch, TrainStep
from ..training.optimization.ema import AveragedWeights
from ..training.optimization.optimizers import build_optimizer

_TIMED_SECONDS = 1.0
_MOST_STEPS = 50


@dataclass(frozen=True)
class StepMeasurement:
    """Measured time and memory of a step on this machine.

    Attributes:
        batch_size: samples per batch.
        precision: the resolved precision.
        device: where it ran.
        peak: bytes that torch's allocator had given out at the worst moment, weights and optimizer state included.
        seconds: median time of an optimizer step in seconds, without making its batches.
        steps_per_epoch: optimizer steps of an epoch; 0 when the data are not known.
        epochs: epochs of the run.
    """

    batch_size: int
    precision: str
    device: str
    peak: int
    seconds: float
    steps_per_epoch: int
    epochs: int


def measure_draft(config: RunConfig) -> StepMeasurement:
    """Train some steps of a run on one batch of its own data and throw them away; nothing is written.

    Raises:
        TorchdeckError: the run could not be started either.
        torch.OutOfMemoryError: the step doesn't fit on the GPU.
    """
    prepared = prepare(config, lambda *_: None)
    with placed(prepared.placement):
        batch = _real_batch(prepared.sources, config, prepared.placement.device)
        measured = _measure(config, prepared.model, prepared.placement, batch, prepared.objective)
    return replace(measured, steps_per_epoch=num_train_steps(prepared.sources, config))


def measure_spec(config: RunConfig, num_classes: int, input_shape: tuple[int, ...]) -> StepMeasurement:
    """The same on a batch of random numbers, where there are no data.

    Args:
        config: config; its data section is ignored.
        num_classes: number of classes.
        input_shape: shape of one sample.

    Raises:
        ConfigError, UserCodeError: the model can't be built.
        torch.OutOfMemoryError: the step doesn't fit on the GPU.
    """
    placement = choose_placement(config.training)
    seed_everything(config.seed)
    model = build_with_notes(config.model, num_classes, input_shape).model
    with placed(placement):
        inputs = torch.randn(config.loader.batch_size, *input_shape).to(placement.device)
        targets = torch.randint(num_classes, (config.loader.batch_size,)).to(placement.device)
        return _measure(config, model, placement, (inputs, targets), class_objective(num_classes, placement.device))


def _real_batch(sources: DataSources, config: RunConfig, device: torch.device) -> Batch:
    """The first batch of the training split, and no other sample of it is decoded."""
    split = sources.train
    count = min(config.loader.batch_size, len(split))
    first = np.arange(count) if split.indices is None else split.indices[:count]
    part = replace(split, indices=first, targets=None if split.targets is None else split.targets[:count])
    loader = config.loader.model_copy(update={"eval_batch_size": count, "num_workers": 0})
    data = evaluation_loader(part, config.model_copy(update={"loader": loader}), device, lambda *_: None)
    return repeated(next(iter(data.batches(0))), config.loader.batch_size)


def repeated(batch: Batch, size: int) -> Batch:
    """A batch of `size` samples: the given one as often as it takes."""
    inputs, targets = batch
    times = -(-size // len(targets))

    def of_size(tensor: Tensor) -> Tensor:
        whole = tensor if times == 1 else tensor.repeat(times, *[1] * (tensor.ndim - 1))
        return whole[:size]

    return map_tensors(of_size, inputs), of_size(targets)


class RealStep:
    """A run's training step with everything else that it keeps in memory, for trials on any batch.

    Attributes:
        device: where it runs.
        is_fresh: whether no step was done, so that what the first one makes for all is not there yet.
        present: bytes of what is there before a step: weights, the optimizer's state once there was a step, averages.
    """

    def __init__(self, config: RunConfig, model: nn.Module, placement: Placement, objective: Objective) -> None:
        """Put the model onto the device, ready to train. Compiled it is not.

        Raises:
            ConfigError: another device than cpu and cuda.
        """
        self.device = placement.device
        if self.device.type not in ("cpu", "cuda"):
            raise ConfigError(f"training.device = '{config.training.device}': a step is measured on cpu and cuda only")
        model = model.to(self.device)
        if placement.channels_last:
            model = model.to(memory_format=torch.channels_last)
        self._model = model.train()
        self.is_fresh = True
        self._accumulate = config.training.accumulate
        self._optimizer = build_optimizer(config.optimizer, model)
        self._step = TrainStep.of(config, model, self._optimizer, objective, placement)
        self._averages = AveragedWeights(model, config.ema).state_dict() if config.ema.decay else {}

    @property
    def present(self) -> int:
        """Bytes of what is there before a step."""
        return _bytes_of(self._tensors())

    def __call__(self, window: list[Batch]) -> None:
        """Do a step, and wait for it."""
        self.is_fresh = False
        self._step(window)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def window(self, batch: Batch) -> list[Batch]:
        """The batches of a step, each with memory of its own."""
        return [(map_tensors(Tensor.clone, inputs), targets) for inputs, targets in [batch] * self._accumulate]

    def peak(self, window: list[Batch]) -> int:
        """Bytes at the worst moment of a step, what is there before it included. The first step only warms up."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self(window)
            return int(torch.cuda.max_memory_allocated(self.device))
        batches = [tensor for inputs, _ in window for tensor in tensors_of(inputs)]
        return _peak_on_cpu(self._step, window, _bytes_of([*self._tensors(), *batches]))

    def forget(self) -> None:
        """Let go of what a step that failed has left behind."""
        self._optimizer.zero_grad(set_to_none=True)

    def _tensors(self) -> list[object]:
        state = [value for values in self._optimizer.state.values() for value in values.values()]
        return [*self._model.parameters(), *self._model.buffers(), *state, *self._averages.values()]


def _measure(
    config: RunConfig, model: nn.Module, placement: Placement, batch: Batch, objective: Objective
) -> StepMeasurement:
    step = RealStep(config, model, placement, objective)
    window = step.window(batch)
    step(window)
    return StepMeasurement(
        batch_size=config.loader.batch_size,
        precision=placement.precision,
        device=str(placement.device),
        peak=step.peak(window),
        seconds=_seconds(step, window),
        steps_per_epoch=0,
        epochs=config.training.epochs,
    )


def _peak_on_cpu(step: TrainStep, window: list[Batch], present: int) -> int:
    """The highest point of what torch's allocator gives and gets back in a step, above the bytes there before it."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(window)
    results = profiler.profiler.kineto_results
    changes = sorted((event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]")
    live = peak = present
    for _, change in changes:
        live += change
        peak = max(peak, live)
    return peak


def _bytes_of(values: Iterable[object]) -> int:
    """Bytes of the tensors among the values, a shared storage once."""
    storages = {
        value.untyped_storage().data_ptr(): value.untyped_storage().nbytes()
        for value in values
        if isinstance(value, Tensor)
    }
    return sum(storages.values())


def _seconds(step: RealStep, window: list[Batch]) -> float:
    """Median time of a step, over a second."""
    times: list[float] = []
    began = time.perf_counter()
    while not times or (time.perf_counter() - began < _TIMED_SECONDS and len(times) < _MOST_STEPS):
        start = time.perf_counter()
        step(window)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
