"""Settings of the data set, its transforms and its batches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from .section import CodeName, Component, Section

Storage = Literal["auto", "device", "memory", "mmap", "encoded", "loader"]
Sampler = Literal["auto", "shuffled", "sequential", "balanced", "weighted", "replacement"]


def _validation(value: Any) -> str | float:
    if value == "test":
        return "test"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 0.9:
        return float(value)
    raise ValueError('must be "test", or a fraction of the training split above 0 and at most 0.9, such as 0.1')


class DataConfig(Section):
    """The data set: its split, its transforms, and where its samples are stored."""

    dataset: CodeName = Field(
        default="digits",
        min_length=1,
        description="name in the catalog, a folder of images or arrays, an .npz file, or path/to/file.py:factory",
    )
    root: str = Field(default="~/datasets", description="folder that holds the data sets")
    download: bool = Field(default=False, description="download the data set if it is missing")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="additional arguments of the data set's constructor or factory"
    )
    validation: Annotated[str | float, PlainValidator(_validation)] = Field(
        default="test",
        description='"test" for the test split, or a stratified fraction of the training split such as 0.1',
    )
    exif: bool = Field(
        default=True, description="rotate photographs in a folder by their EXIF orientation; false: use them as stored"
    )
    storage: Storage = Field(
        default="auto",
        description="where samples are stored: decoded on the device, in memory or in a memory-mapped file (mmap), as "
        "encoded files that threads decode, or behind a DataLoader; auto: the fastest that fits",
    )
    bad_files: Literal["stop", "skip"] = Field(
        default="stop",
        description="image files that can't be decoded: stop lists them before training starts, skip leaves them out",
    )
    cache: str = Field(
        default="~/.cache/torchdeck", min_length=1, description="folder for files that can be rebuilt from the data"
    )
    train_transforms: list[Component] = Field(
        default_factory=list, description="transforms of training samples, in order"
    )
    eval_transforms: list[Component] = Field(
        default_factory=list, description="transforms of validation and test samples, in order"
    )


class LoaderConfig(Section):
    """Sampling and batching."""

    batch_size: int = Field(default=64, ge=1, description="samples per batch")
    eval_batch_size: int = Field(
        default=0, ge=0, description="samples per batch in evaluations; 0: the larger of batch_size and 256"
    )
    shuffle: bool = Field(default=True, description="shuffle the training samples every epoch")
    sampler: Sampler = Field(
        default="auto",
        description="auto: shuffled or sequential, depending on shuffle; balanced: every class equally often; "
        "weighted: by loader.weights; replacement: with replacement",
    )
    weights: CodeName = Field(
        default="",
        description="weights of the weighted sampler: path/to/file.py:function of the targets, or a .npy or .txt file "
        "with one number per training sample",
    )
    subset: str = Field(
        default="",
        description="train on a subset: a fraction such as 0.1, a sample count, or a file of indices (.npy or .txt)",
    )
    batch_sampler: CodeName = Field(
        default="",
        description="path/to/file.py:function that returns an epoch's batches as lists of positions; it may take any "
        "of num_samples, batch_size, targets, seed and epoch",
    )
    num_samples: int = Field(
        default=0,
        ge=0,
        description="samples per epoch of a balanced, weighted or replacement sampler; 0: as many as the split has",
    )
    drop_last: bool = Field(default=False, description="drop the last batch if it is not full")
    collate_fn: CodeName = Field(
        default="",
        description="path/to/file.py:function that turns a list of samples into (inputs, targets); empty: the data "
        "set's own, otherwise samples are stacked",
    )
    num_workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description='worker processes of the DataLoader; with storage = "encoded", decoding threads (0: one per core)',
    )
    prefetch_factor: int = Field(default=2, ge=1, description="batches each worker prepares ahead")
    pin_memory: bool = Field(default=True, description="page-locked batches; only matters with a GPU")
    persistent_workers: bool = Field(default=True, description="keep worker processes between epochs")
    timeout: float = Field(default=0.0, ge=0, description="seconds to wait for a worker's batch; 0: no limit")
    worker_init: CodeName = Field(
        default="", description="path/to/file.py:function, called in every worker process with the worker's number"
    )

    @model_validator(mode="after")
    def _options_agree(self) -> LoaderConfig:
        drawing = ("balanced", "weighted", "replacement")
        if not self.shuffle and self.sampler in ("shuffled", *drawing):
            raise ValueError(f'sampler = "{self.sampler}" shuffles, which shuffle = false forbids: change one of them')
        if self.num_samples and self.sampler not in drawing:
            raise ValueError(
                f"num_samples = {self.num_samples} needs a sampler that draws with replacement: "
                'sampler = "balanced", "weighted" or "replacement"'
            )
        if (self.sampler == "weighted") != bool(self.weights):
            raise ValueError('sampler = "weighted" needs weights, and no other sampler uses them')
        if self.batch_sampler:
            for name in ("sampler", "num_samples", "drop_last", "weights"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} has no effect when batch_sampler makes the batches: remove one of them")
        for name in ("timeout", "worker_init"):
            if getattr(self, name) and not self.num_workers:
                raise ValueError(f"{name} needs worker processes: set num_workers above 0")
        return self
