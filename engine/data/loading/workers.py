"""Batches made sample by sample, in this process or in worker processes: for every transform without a batched form.

What a sample becomes depends on (seed, epoch, its position) only: before each one, the generators of torch, Python and
NumPy are seeded from that. So the number of workers, the batch size and where an epoch begins change nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection, reduction
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from ...config import LoaderConfig
from ...errors import ConfigError, DataError, UserCodeError
from ...inputs import Inputs, map_tensors, moved
from ...machine.python_process import libraries_start_python_safely, restore_safe_path, safe_path_setting
from ...randomness import generators_kept, seed_cpu_generators
from ...user_code import load_object
from ..datasets.samples import as_tensors, moves_with_image, read_sample, sample_name
from ..datasets.splits import Split
from ..random_keys import combine
from ..transforms.pipeline import SamplePipeline
from .batching import Batching
from .collation import make_batch
from .sampling import EpochOrder, times_before
from .storage import read_image
from .user_order import own_batches
from .worker_failures import WorkerFailure, death_words, report_lost_batches

Key = tuple[int, int, int]

_SAMPLE_STREAM = 0x5A
_COLLATE_STREAM = 0xC0
_DYING_SECONDS = 2.0
_LOOK_SECONDS = 0.25


class KeyedSamples:
    """Reads and transforms the samples of a batch; a key is (epoch, position in the split, number of the draw).

    Pickles into workers.
    """

    def __init__(self, split: Split, pipeline: SamplePipeline, seed: int) -> None:
        self._split = split
        self._pipeline = pipeline
        self._seed = seed

    def __len__(self) -> int:
        return len(self._split)

    def sample(self, epoch: int, position: int, draw: int | None = None) -> tuple[Any, Any]:
        """One sample, input and target, before it is collated; an image is float32 [C, H, W].

        Its random numbers follow from `draw`, or its position.

        Raises:
            ConfigError, DataError, UserCodeError: it can't be read or transformed; names the sample.
        """
        seed_cpu_generators(combine(self._seed, epoch, position if draw is None else draw, _SAMPLE_STREAM))
        try:
            if self._split.is_image:
                image, target = read_image(self._split, position)
                if moves_with_image(target):
                    return self._pipeline.apply_to_pair(image, target)
                return self._pipeline.apply(image), target
            value, target = read_sample(self._split, position)
            value = self._pipeline.apply_as_it_is(value)
            # A collate_fn receives the data set's samples unchanged.
            return (value if self._split.collate is not None else as_tensors(value)), target
        except ConfigError as error:
            raise ConfigError(f"{error} ({sample_name(self._split, position)})") from error

    def batch(self, keys: list[Key]) -> tuple[Inputs, Any]:
        """The samples of some keys as one batch: inputs, as the model takes them, and targets.

        Raises:
            ConfigError, DataError, UserCodeError: a sample can't be made, or they can't be collated.
        """
        samples = [self.sample(*key) for key in keys]
        if self._split.collate is not None:
            epoch, _, draw = keys[0]
            seed_cpu_generators(combine(self._seed, epoch, draw, _COLLATE_STREAM))
        return make_batch(self._split, [position for _, position, _ in keys], samples)

    def __getitems__(self, keys: list[Key]) -> tuple[Inputs, Any] | WorkerFailure:
        """A whole batch, or what went wrong: the DataLoader would bury the message in a traceback."""
        try:
            return self.batch(keys)
        except Exception as error:
            return WorkerFailure.of(error)

    def __getitem__(self, key: Key) -> tuple[Inputs, Any] | WorkerFailure:
        return self.__getitems__([key])


class _EpochBatches(Sampler[list[Key]]):
    """Keys of every batch of an epoch. The epoch travels in the key, so workers that live on know it."""

    def __init__(self, batching: Batching) -> None:
        self._sampler, self._num_batches = batching.sampler, batching.num_batches
        self._batch_size = batching.batch_size
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, every = self.epoch, torch.arange(self._sampler.length)
        order = self._sampler.order(epoch) or EpochOrder(every, every)
        for batch in range(self.start, self._num_batches):
            part = slice(batch * self._batch_size, (batch + 1) * self._batch_size)
            pairs = zip(order.samples[part].tolist(), order.draws[part].tolist(), strict=True)
            yield [(epoch, position, draw) for position, draw in pairs]


class _OwnBatches(Sampler[list[Key]]):
    """The same for batches that the user's function makes."""

    def __init__(self, split: Split, config: LoaderConfig, seed: int) -> None:
        self._split, self._config, self._seed = split, config, seed
        self.epoch = self.start = 0
        first = own_batches(config, split, seed, 0)
        self._num_batches, self.num_samples = len(first), sum(map(len, first))

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[list[Key]]:
        batches = own_batches(self._config, self._split, self._seed, self.epoch)
        if len(batches) != self._num_batches:
            raise UserCodeError(
                f"{self._config.batch_sampler}: returned {len(batches)} batches for epoch {self.epoch} and "
                f"{self._num_batches} for epoch 0; every epoch of a run must have the same number of steps"
            )
        positions = torch.tensor([position for batch in batches for position in batch])
        draws = iter((positions + len(self._split) * times_before(positions)).tolist())
        for number, batch in enumerate(batches):
            keys = [(self.epoch, position, next(draws)) for position in batch]
            if number >= self.start:
                yield keys


class WorkerLoader:
    """A BatchLoader that makes samples one by one."""

    def __init__(
        self,
        split: Split,
        pipeline: SamplePipeline,
        batching: Batching,
        *,
        seed: int,
        options: LoaderConfig,
        takes_own_batches: bool = False,
    ) -> None:
        """Set the loader up; worker processes start with the first batch.

        Args:
            split: split to read.
            pipeline: transforms of a sample.
            batching: of which samples its batches are, and where they go.
            seed: seed of random transforms.
            options: options of workers and page-locked memory; without workers samples are made in the calling
                thread.
            takes_own_batches: whether `options.batch_sampler` holds for this split.
        """
        self.num_samples, self.num_batches = batching.num_samples, batching.num_batches
        self.batch_size = batching.batch_size
        self._device = batching.device
        self._num_workers, self._options = options.num_workers, options
        self._samples = KeyedSamples(split, pipeline, seed)
        self._keys: _EpochBatches | _OwnBatches
        if takes_own_batches and options.batch_sampler:
            self._keys = _OwnBatches(split, options, seed)
            self.num_samples, self.num_batches = self._keys.num_samples, len(self._keys)
        else:
            self._keys = _EpochBatches(batching)
        self._pins = options.pin_memory and batching.device.type == "cuda"
        self._loader: DataLoader[Any] | None = None

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, Any]]:
        """Batches of an epoch from number `start` on, without making those before.

        Yields:
            Inputs, float32 [B, C, H, W] for images, and targets, int64 [B] for classes, both on the device.

        Raises:
            ConfigError, DataError, UserCodeError: a sample can't be made; a worker process died.
        """
        self._keys.epoch, self._keys.start = epoch, start
        for batch in self._in_this_process() if self._num_workers == 0 else self._from_workers():
            if isinstance(batch, WorkerFailure):
                raise batch.error()
            inputs, targets = batch
            yield (
                moved(inputs, self._device, non_blocking=self._pins),
                moved(targets, self._device, non_blocking=self._pins),
            )

    def _in_this_process(self) -> Iterator[tuple[Inputs, Any] | WorkerFailure]:
        for keys in self._keys:
            with generators_kept():
                batch = self._samples.__getitems__(keys)
            if self._pins and not isinstance(batch, WorkerFailure):
                batch = map_tensors(lambda tensor: tensor.pin_memory(), batch)
            yield batch

    def _from_workers(self) -> Iterator[tuple[Inputs, Any] | WorkerFailure]:
        if self._loader is None:
            self._loader = DataLoader(
                self._samples,  # type: ignore[arg-type]
                batch_sampler=self._keys,
                collate_fn=_as_it_is,
                num_workers=self._num_workers,
                prefetch_factor=self._options.prefetch_factor,
                persistent_workers=self._options.persistent_workers,
                timeout=self._options.timeout,
                pin_memory=self._pins,
                multiprocessing_context=_forkserver(),
                worker_init_fn=_WorkerStart(self._options.worker_init, (1, 2), safe_path_setting()),
                # The DataLoader draws its workers' base seed from the global generator unless it has its own.
                generator=torch.Generator(),
            )
        try:
            with warnings.catch_warnings():
                # Said below, with what to do.
                warnings.filterwarnings("ignore", "Got pickle error", UserWarning)
                batches = iter(self._loader)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"loader.num_workers = {self._num_workers}: the data set or a transform can't be sent to worker "
                f"processes: {error}; define its class at the top of its file, or set loader.num_workers = 0"
            ) from error
        _look_often(batches)
        try:
            yield from batches
        except (RuntimeError, OSError, EOFError) as error:
            # A worker that dies breaks the queue in whatever it was doing, a moment before it is gone.
            sentinels = [worker.sentinel for worker in batches._workers]  # type: ignore[attr-defined]
            if not connection.wait(sentinels, timeout=_DYING_SECONDS):
                if "timed out" not in str(error):
                    raise
                raise DataError(
                    f"loader.timeout = {self._options.timeout:g}: no batch arrived from a worker process in time"
                ) from error
            self._loader = None
            raise DataError(death_words(batches._workers, self._num_workers)) from error  # type: ignore[attr-defined]


def _as_it_is(batch: Any) -> Any:
    return batch


def _look_often(batches: Any) -> None:
    """Make a DataLoader's iterator check its workers several times per second.

    By itself it does so every 5 seconds outside of the main thread, where it has no SIGCHLD handler.
    """
    if "_try_get_data" in vars(batches):
        return
    wait = type(batches)._try_get_data
    # A reference to itself would keep the iterator, and its workers, after its loader is gone.
    itself = weakref.ref(batches)

    def wait_in_turns(timeout: float = _LOOK_SECONDS) -> tuple[bool, Any]:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            found, batch = wait(itself(), max(min(left, _LOOK_SECONDS), 0.001))
            if found or left <= _LOOK_SECONDS:
                return found, batch

    batches._try_get_data = wait_in_turns


@dataclass(frozen=True)
class _WorkerStart:
    """Initialization of a worker process.

    Attributes:
        function: the user's `path/to/file.py:function`, or empty.
        outputs: descriptors that its standard output and error shall be, by their numbers in the engine's process:
            the server that starts workers still has those of the first run that needed workers.
        safe_path: the user's PYTHONSAFEPATH, in place of the one that the server was started with.
    """

    function: str
    outputs: tuple[Any, ...] = ()
    safe_path: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Handed over with the process that is being started; Windows inherits nothing of the kind.
        handed = tuple(map(reduction.DupFd, self.outputs)) if sys.platform != "win32" else ()
        return {"function": self.function, "outputs": handed, "safe_path": self.safe_path}

    def __call__(self, worker: int) -> None:
        """Leave what asks to end to the engine, which saves and then ends its workers; call the user's function."""
        restore_safe_path(self.safe_path)
        for descriptor, handed in enumerate(self.outputs, start=1):
            inherited = handed.detach()
            os.dup2(inherited, descriptor)
            os.close(inherited)
        report_lost_batches()
        for number in _left_to_the_engine():
            signal.signal(number, signal.SIG_IGN)
        _end_only_for(multiprocessing.parent_process())
        if self.function:
            load_object(self.function, "a function of a worker's number")(worker)


def _end_only_for(engine: BaseProcess | None) -> None:
    """Let SIGTERM end this worker if the engine sends it, and ignore one to the whole group of processes: the engine
    gets that too, and needs its workers until it has saved."""
    if engine is None or not hasattr(signal, "sigwaitinfo"):
        return

    def wait() -> None:
        # Blocked in every thread, as the server blocked it, it is taken here with what sent it.
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != engine.pid:
            pass
        os._exit(128 + signal.SIGTERM)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=wait, name="end of the worker", daemon=True).start()


def _left_to_the_engine() -> set[signal.Signals]:
    """Signals that terminals and batch systems send to a whole group of processes, save the one that ends workers."""
    if sys.platform == "win32":
        return {signal.SIGINT}
    return {
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGXCPU,
    }


def _forkserver() -> BaseContext:
    """A start method that copies neither threads nor CUDA state nor the terminal's handlers into the workers."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torchdeck.engine.data.loading.workers"])
    with libraries_start_python_safely():
        # Starting the tracker, which the server needs, unblocks SIGTERM again.
        resource_tracker.ensure_running()
        # Blocked signals are inherited, also by the server, which would die of a hang-up otherwise.
        blocked = _left_to_the_engine() | ({signal.SIGTERM} if hasattr(signal, "sigwaitinfo") else set())
        before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context
