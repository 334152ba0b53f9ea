"""Batches from image files that threads decode again in every epoch.

For folders whose decoded images fit nowhere, or differ in size until a random crop makes them equal. A thread reads,
decodes and crops; decoders and resizing leave the interpreter to the others meanwhile. What comes then is done to
whole batches on the device, as to those of a split in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ...config import Component, LoaderConfig
from ...errors import DataError
from ...machine.cores import available_cores
from ...plurals import plural
from ..batched.batch_plan import BatchPlan, fixed_size
from ..batched.batch_steps import ResizedCropStep
from ..batched.boxes import crop_box, crop_tries
from ..datasets.images.folder import FolderDataset
from ..datasets.images.jpeg import torchcodec_decoder
from ..datasets.splits import Split
from ..random_keys import SampleKeys, sample_keys
from .batching import Batching
from .in_memory_loader import BatchFinish
from .sampling import EpochOrder
from .storage import DecodedSplit, Unavailable, different_sizes

# Few enough that all threads have work, many enough that handing it out costs nothing.
_TASK_SAMPLES = 4
_BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Head:
    """Transforms of a single image, until all have the same size.

    Attributes:
        baked: transforms that draw nothing.
        crop: a random resized crop after them; without one, the baked ones or the files themselves settle the size.
        rest: transforms of batches of the results.
    """

    baked: tuple[Component, ...]
    crop: ResizedCropStep | None
    rest: BatchPlan


def find_head(plan: BatchPlan, *, has_one_size: bool) -> Head | Unavailable:
    """Split a plan where its images become equal in size, or say why they don't.

    Args:
        plan: plan of the whole pipeline.
        has_one_size: whether the files have one size already.
    """
    first = plan.pixel_steps[0] if plan.pixel_steps else None
    if isinstance(first, ResizedCropStep) and not plan.moves:
        return Head(plan.baked, first, replace(plan, baked=(), pixel_steps=plan.pixel_steps[1:], names=plan.names[1:]))
    if has_one_size or fixed_size(plan):
        return Head(plan.baked, None, replace(plan, baked=()))
    return Unavailable(
        "images differ in size, and the first transform is not a Resize to [height, width], a CenterCrop or a "
        "RandomResizedCrop"
    )


def decode_threads(num_workers: int) -> int:
    """How many threads decode: `loader.num_workers`, or one per core."""
    return num_workers or available_cores()


def encoded_words(num_workers: int) -> str:
    """What decodes, for people."""
    threads = plural(decode_threads(num_workers), "thread")
    decoder = "torchcodec" if torchcodec_decoder() is not None else "Pillow"
    return f"files, decoded in every epoch by {threads} ({decoder})"


@dataclass(frozen=True)
class _Begun:
    """A batch that threads work on."""

    pixels: Tensor
    targets: Tensor
    keys: SampleKeys
    work: list[Future[None]]


class EncodedLoader:
    """A BatchLoader over a folder of image files."""

    def __init__(
        self,
        split: Split,
        head: Head,
        batching: Batching,
        *,
        seed: int,
        options: LoaderConfig,
        where: str,
    ) -> None:
        """Set the loader up; threads start with the first batch.

        Args:
            split: split of a FolderDataset.
            head: transforms of single images, and of batches.
            batching: of which samples its batches are, and where they go.
            seed: seed of random transforms.
            options: of them `num_workers`, threads that decode, 0 for one per core; and `pin_memory`, to decode into
                page-locked memory where a GPU is to copy from it.
            where: the config's key of the transforms, for messages.

        Raises:
            DataError: the first sample can't be read.
        """
        self.num_samples, self.num_batches = batching.num_samples, batching.num_batches
        self.batch_size = batching.batch_size
        device = batching.device
        self._split, self._head, self._seed, self._device = split, head, seed, device
        self._sampler = batching.sampler
        self._images = DecodedSplit(split, head.baked, where)
        self._targets = torch.from_numpy(np.array(split.targets))
        self._first = self._images.image(0)
        self._size = tuple(self._first.shape[1:]) if head.crop is None else head.crop.size
        self._finish = BatchFinish(head.rest, self._first.shape[0], device)
        self._pins = options.pin_memory and device.type == "cuda"
        self._threads = decode_threads(options.num_workers)
        self._pool: ThreadPoolExecutor | None = None

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of an epoch from number `start` on, without decoding those before.

        Yields:
            Inputs float32 [B, C, H, W] and targets [B], both on the device.

        Raises:
            DataError: a file that can't be decoded, by name; images that differ in size.
        """
        every = torch.arange(self.num_samples)
        order = self._sampler.order(epoch) or EpochOrder(every, every)
        numbers = iter(range(start, self.num_batches))
        begun: deque[_Begun] = deque()
        try:
            while True:
                for number in numbers:
                    begun.append(self._begin(order, epoch, number))
                    if len(begun) > _BATCHES_AHEAD:
                        break
                if not begun:
                    return
                batch = begun.popleft()
                for task in batch.work:
                    task.result()
                inputs = self._finish(batch.pixels, batch.keys)
                yield inputs, batch.targets.to(self._device, non_blocking=self._pins)
        finally:
            for batch in begun:
                for task in batch.work:
                    task.cancel()

    def _begin(self, order: EpochOrder, epoch: int, number: int) -> _Begun:
        """Draw a batch's crops and hand its files to the threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="decode")
        part = slice(number * self.batch_size, min((number + 1) * self.batch_size, self.num_samples))
        samples = order.samples[part]
        keys = sample_keys(self._seed, epoch, order.draws[part])
        tries = _tries(self._head, keys)
        shape = (len(samples), self._first.shape[0], *self._size)
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self._pins)
        targets = self._targets.index_select(0, samples)
        positions = samples.tolist()
        work = []
        for first in range(0, len(positions), _TASK_SAMPLES):
            task = slice(first, first + _TASK_SAMPLES)
            some = tries[task] if tries is not None else None
            work.append(self._pool.submit(self._decode, positions[task], some, pixels[task]))
        return _Begun(pixels, targets.pin_memory() if self._pins else targets, keys, work)

    def _decode(
        self, positions: Sequence[int], tries: Sequence[Sequence[Sequence[float]]] | None, pixels: Tensor
    ) -> None:
        """Decode some samples into `pixels`, uint8 [n, C, H, W]. In a thread of the pool."""
        for number, position in enumerate(positions):
            image = _through_head(self._images, self._head, position, tries[number] if tries is not None else [])
            if image.shape != pixels.shape[1:]:
                raise DataError(different_sizes(self._split, (0, self._first), (position, image)))
            pixels[number] = image


def _tries(head: Head, keys: SampleKeys) -> list[list[list[float]]] | None:
    """What the head's crop draws for each sample."""
    if head.crop is None:
        return None
    tries: list[list[list[float]]] = crop_tries(keys, head.crop.slot, head.crop.scale, head.crop.ratio).tolist()
    return tries


def _through_head(decoded: DecodedSplit, head: Head, position: int, tries: Sequence[Sequence[float]]) -> Tensor:
    """One sample, decoded and brought to its size: uint8 [C, H, W]."""
    image = decoded.image(position)
    if head.crop is None:
        return image
    top, left, height, width = crop_box(tries, (image.shape[1], image.shape[2]), head.crop.ratio)
    # Channels last, as decoders leave them and resizing is fastest, which would otherwise repack the whole image.
    box = image.permute(1, 2, 0)[top : top + height, left : left + width].contiguous().permute(2, 0, 1)
    return functional.resize(box, list(head.crop.size))


def transform_files(split: Split, head: Head, seed: int, epoch: int, positions: list[int], where: str) -> Tensor:
    """What an EncodedLoader makes of some samples in an epoch: float32 [n, C, H, W]. Raises as its batches do."""
    keys = sample_keys(seed, epoch, torch.tensor(positions))
    tries = _tries(head, keys) or [[] for _ in positions]
    decoded = DecodedSplit(split, head.baked, where)
    images = [_through_head(decoded, head, *each) for each in zip(positions, tries, strict=True)]
    finish = BatchFinish(head.rest, images[0].shape[0], torch.device("cpu"))
    return finish(torch.stack(images), keys)


def is_encoded(split: Split) -> bool:
    """Whether a split's samples are image files."""
    return isinstance(split.dataset, FolderDataset) and split.targets is not None
