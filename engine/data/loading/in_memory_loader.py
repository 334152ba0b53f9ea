"""Batches out of a decoded split: no decoding, no workers, no collation, only a gather and arithmetic."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from ...errors import ConfigError
from ..batched.augment import WindowStore, cut_moves, draw_moves
from ..batched.batch_plan import BatchPlan
from ..batched.batch_steps import StepRun
from ..batched.slices import slices
from ..random_keys import SampleKeys, sample_keys
from .batching import Batching
from .sampling import EpochOrder
from .storage import ImageStore

# Several small batches are made together: a batch of 64 small images costs less than calling torch does. Float pixels
# of this many bytes still lie in a CPU's cache when the model reads them.
_CHUNK_BYTES = 2 << 20
# On a GPU fewer and larger kernels are better.
_DEVICE_CHUNK_BYTES = 64 << 20
_CHUNK_SAMPLES = 8192
# 3×96×96.
_LARGE_BYTES = 4 * 3 * 96 * 96


class InMemoryLoader:
    """A BatchLoader over an ImageStore, in the device's memory or in the machine's.

    A batch is a pure function of (seed, epoch, its samples).
    """

    def __init__(
        self,
        store: ImageStore,
        plan: BatchPlan,
        batching: Batching,
        *,
        seed: int,
        pin_memory: bool = True,
    ) -> None:
        """Lay the store out for its plan.

        Args:
            store: the decoded split, on the CPU or on `device`; baked transforms are already applied.
            plan: transforms of batches.
            batching: of which samples its batches are, and where they go.
            seed: seed of random transforms.
            pin_memory: go through page-locked memory where pixels have to be copied to a GPU.

        Raises:
            ConfigError: a crop larger than the images.
        """
        self.num_samples, self.num_batches = batching.num_samples, batching.num_batches
        self.batch_size = batching.batch_size
        device = batching.device
        self._plan, self._seed, self._sampler, self._device = plan, seed, batching.sampler, device
        self._targets = store.targets
        self._home = store.images.device
        self._pins = pin_memory and device.type == "cuda" and self._home.type == "cpu"
        self._is_mapped = store.is_mapped
        self._windows = WindowStore(store.images, plan) if plan.moves and not store.is_mapped else None
        self._images = store.images
        self._stored_shape = tuple(store.images.shape[1:])
        if self._windows is None:
            channels, height, width = self._stored_shape
        else:
            # The padded copy replaces the images; a slice of them would keep their memory.
            self._images = store.images.new_empty((0, 1, 1, 1))
            channels = self._windows.channels
            height, width = self._windows.size.crop_height, self._windows.size.crop_width
        self._rows = self._images.flatten(1)
        self._scale = _scaling(plan, channels, device)
        chunk_bytes = _CHUNK_BYTES if self._home.type == "cpu" else _DEVICE_CHUNK_BYTES
        samples = min(chunk_bytes // (4 * channels * height * width), _CHUNK_SAMPLES)
        self._chunk_batches = max(samples // batching.batch_size, 1)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of an epoch from number `start` on.

        Args:
            epoch: 0-based.
            start: number of the first batch; going there costs a few batches at most.

        Yields:
            Inputs float32 [B, C, H, W] and targets int64 [B], both on the device.
        """
        order = self._sampler.order(epoch)
        at_home = None if order is None else self._at_home(order)
        end = min(self.num_batches * self.batch_size, self.num_samples)
        chunk = self._chunk_batches * self.batch_size
        # Chunks have the same bounds wherever the epoch is entered: results of a chunk may round by its size.
        skipped = start % self._chunk_batches
        firsts = range((start - skipped) * self.batch_size, end, chunk)
        parts = [slice(first, min(first + chunk, end)) for first in firsts]
        for part, (pixels, targets) in zip(parts, self._chunks(at_home, parts, epoch), strict=True):
            inputs = self._moved(pixels)
            if self._plan.has_steps:
                samples = torch.arange(part.start, part.stop) if order is None else order.draws[part]
                inputs = run_plan(self._plan, self._scale, inputs, sample_keys(self._seed, epoch, samples))
            else:
                inputs = self._scale(inputs)
            batches = zip(inputs.split(self.batch_size), self._moved(targets).split(self.batch_size), strict=True)
            yield from islice(batches, skipped, None)
            skipped = 0

    def _at_home(self, order: EpochOrder) -> EpochOrder:
        """The order where the pixels are; copied once where both of its tensors are the same."""
        samples = order.samples.to(self._home)
        return EpochOrder(samples, samples if order.draws is order.samples else order.draws.to(self._home))

    def _chunks(self, order: EpochOrder | None, parts: list[slice], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels and targets of each part; from a disk, the next part is read while this one is used."""
        if not self._is_mapped:
            yield from (self._gathered(order, part, epoch) for part in parts)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="disk") as reader:
            coming = deque[Future[tuple[Tensor, Tensor]]]()
            for part in parts:
                coming.append(reader.submit(self._gathered, order, part, epoch))
                if len(coming) > 1:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def _gathered(self, order: EpochOrder | None, part: slice, epoch: int) -> tuple[Tensor, Tensor]:
        """Several batches in one tensor, cropped and flipped: uint8 pixels and targets."""
        if self._windows is None and order is None and not self._is_mapped:
            return self._images[part], self._targets[part]
        samples = torch.arange(part.start, part.stop, device=self._home) if order is None else order.samples[part]
        targets = self._targets.index_select(0, samples)
        keys = sample_keys(self._seed, epoch, samples if order is None else order.draws[part])
        if self._windows is None:
            pixels = self._rows.index_select(0, samples).view(-1, *self._stored_shape)
            return (cut_moves(pixels, self._plan, keys) if self._plan.moves else pixels), targets
        return self._windows.gather(samples, draw_moves(self._plan, self._windows.size, keys)), targets

    def _moved(self, tensor: Tensor) -> Tensor:
        if self._home == self._device:
            return tensor
        # torch keeps a pinned block until the copy that reads it has run.
        return (tensor.pin_memory() if self._pins else tensor).to(self._device, non_blocking=self._pins)


@dataclass(frozen=True)
class Scaling:
    """From uint8 pixels x to (x / 255 - mean) / std = (x - offset) * factor, or to x / 255 without Normalize.

    Attributes:
        offset, factor: [C, 1, 1], 255 mean and 1 / (255 std); None without Normalize.
    """

    offset: Tensor | None = None
    factor: Tensor | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [N, C, H, W] to float32.

        Subtraction and multiplication stay two operations: fused, they round differently at the end of a vector
        register, and a sample's bits would depend on its place in the batch.
        """
        if self.offset is None or self.factor is None:
            return pixels.float().div_(255)
        return pixels.float().sub_(self.offset).mul_(self.factor)

    def into(self, result: Tensor, pixels: Tensor) -> None:
        """The same, written into a float32 tensor."""
        result.copy_(pixels)
        if self.offset is None or self.factor is None:
            result.div_(255)
        else:
            result.sub_(self.offset).mul_(self.factor)


def _scaling(plan: BatchPlan, channels: int, device: torch.device) -> Scaling:
    if plan.mean is None or plan.std is None:
        return Scaling()
    for name, values in (("mean", plan.mean), ("std", plan.std)):
        if len(values) not in (1, channels):
            raise ConfigError(f"Normalize: {name} has {len(values)} values, but the images have {channels} channels")
    mean = torch.tensor(plan.mean, dtype=torch.float64) * 255
    factor = 1 / (torch.tensor(plan.std, dtype=torch.float64) * 255)
    shape = (channels, 1, 1)
    return Scaling(
        mean.float().expand(channels).reshape(shape).to(device),
        factor.float().expand(channels).reshape(shape).to(device),
    )


def transform_images(images: Tensor, plan: BatchPlan, seed: int, epoch: int, positions: Tensor) -> Tensor:
    """What an InMemoryLoader makes of some samples in an epoch.

    Args:
        images: uint8 [n, C, H, W], after the plan's baked transforms.
        plan: transforms of batches.
        seed, epoch: of the random parameters.
        positions: int64 [n], positions of the images in their split.

    Returns:
        float32 [n, C, H', W'].

    Raises:
        ConfigError: a crop larger than the images.
    """
    return BatchFinish(plan, images.shape[1], images.device)(images, sample_keys(seed, epoch, positions))


class BatchFinish:
    """Transforms of a batch of decoded images, after the plan's baked transforms."""

    def __init__(self, plan: BatchPlan, channels: int, device: torch.device) -> None:
        """Set up for images with `channels` channels and batches on `device`. Raises ConfigError for a Normalize."""
        self._plan, self._device = plan, device
        self._scale = _scaling(plan, channels, device)

    def __call__(self, images: Tensor, keys: SampleKeys) -> Tensor:
        """uint8 [n, C, H, W] to float32 [n, C, H', W'] on the device; keys are on the CPU.

        Raises:
            ConfigError: a crop larger than the images.
        """
        if self._plan.moves:
            pins = images.is_pinned()
            images = cut_moves(images, self._plan, keys)
            images = images.pin_memory() if pins else images
        images = images.to(self._device, non_blocking=images.is_pinned())
        return run_plan(self._plan, self._scale, images, keys)


def run_plan(plan: BatchPlan, scale: Scaling, images: Tensor, keys: SampleKeys) -> Tensor:
    """The plan's steps and its scaling, on uint8 images [n, C, H, W] that are cropped and flipped already."""
    to_pixels, to_floats = StepRun(plan.pixel_steps, keys), StepRun(plan.float_steps, keys)
    result: Tensor | None = None
    for part in slices(images, _part_bytes(images)):
        pixels = to_pixels(images[part], part)
        if plan.float_steps or len(pixels) == len(images):
            floats = to_floats(scale(pixels), part)
            if len(floats) == len(images):
                return floats
        else:
            floats = pixels
        if result is None:
            result = torch.empty((len(images), *floats.shape[1:]), device=floats.device)
        if floats is pixels:
            scale.into(result[part], pixels)
        else:
            result[part] = floats
    assert result is not None
    return result


def _part_bytes(images: Tensor) -> int:
    """Float pixels done at a time.

    Of large images one: what happens to some samples of a batch and not to others then copies none, and the pixels
    between two steps stay in the CPU's cache (benchmarks/data_path.py --operations 224).
    """
    one = 4 * images[0].numel() if len(images) else 0
    return one if one >= _LARGE_BYTES else _CHUNK_BYTES
