"""Where samples come from, what is done to them, and how they become batches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from .section import CodeName, Component, Section

Storage = Literal["auto", "device", "memory", "mmap", "encoded", "loader"]
Sampler = Literal["auto", "shuffled", "sequential", "balanced", "weighted", "replacement", "distributed"]


def _validation(value: Any) -> str | float:
    if value == "test":
        return "test"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 0.9:
        return float(value)
    raise ValueError('must be "test", or a share of the training split above 0 and at most 0.9, such as 0.1')


class DataConfig(Section):
    """Which data set, how it is split, what is done to each sample, and where its pixels live."""

    dataset: CodeName = Field(
        default="digits",
        min_length=1,
        description="name in the catalogue, a folder of images or arrays, an .npz file, or path/to/file.py:factory",
    )
    root: str = Field(default="~/datasets", description="folder that holds the data sets")
    download: bool = Field(default=False, description="fetch the data set when it is not there")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of the data set's constructor or factory"
    )
    validation: Annotated[str | float, PlainValidator(_validation)] = Field(
        default="test",
        description='"test" for the test split, or a stratified share of the training split such as 0.1',
    )
    exif: bool = Field(
        default=True, description="turn photographs of a folder as their EXIF orientation says; false: as stored"
    )
    storage: Storage = Field(
        default="auto",
        description="where samples live: decoded on the device, in memory or in a file (mmap), encoded files that "
        "threads decode, or a DataLoader; auto: by arithmetic",
    )
    bad_files: Literal["stop", "skip"] = Field(
        default="stop",
        description="image files that can't be decoded: stop says which before training, skip leaves them out",
    )
    cache: str = Field(
        default="~/.cache/torchdeck", min_length=1, description="folder of what can be made again from the data"
    )
    train_transforms: list[Component] = Field(
        default_factory=list, description="what is done to a training sample, in order"
    )
    eval_transforms: list[Component] = Field(
        default_factory=list, description="what is done to a validation or test sample, in order"
    )


class LoaderConfig(Section):
    """How samples become batches."""

    batch_size: int = Field(default=64, ge=1, description="samples a batch")
    eval_batch_size: int = Field(
        default=0, ge=0, description="samples a batch in evaluation; 0 for the larger of batch_size and 256"
    )
    shuffle: bool = Field(default=True, description="a new order every epoch")
    sampler: Sampler = Field(
        default="auto",
        description="auto: shuffled or sequential, as shuffle says; balanced: every class equally often; "
        "weighted: by loader.weights; replacement: any sample any number of times; distributed: the share of one of "
        "several processes, whose gradients are not averaged",
    )
    num_replicas: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="processes that a distributed sampler deals an epoch to; 0: as WORLD_SIZE or SLURM_NTASKS says",
    )
    rank: int = Field(
        default=-1,
        ge=-1,
        description="number of this process among them, from 0; -1: as RANK or SLURM_PROCID says",
    )
    weights: CodeName = Field(
        default="",
        description="of the weighted sampler: path/to/file.py:function of the targets, or a .npy or .txt file with a "
        "number for every training sample",
    )
    subset: str = Field(
        default="",
        description="train on a part: a share such as 0.1, a number of samples, or a .npy or .txt file of indices",
    )
    batch_sampler: CodeName = Field(
        default="",
        description="path/to/file.py:function that returns an epoch's batches as lists of positions; it is given what "
        "it takes of num_samples, batch_size, targets, seed and epoch",
    )
    num_samples: int = Field(
        default=0,
        ge=0,
        description="samples an epoch of a balanced, weighted or replacement sampler; 0 for as many as there are",
    )
    drop_last: bool = Field(default=False, description="leave out a last batch that is not full")
    collate_fn: CodeName = Field(
        default="",
        description="path/to/file.py:function that makes (inputs, targets) of a list of samples; empty: the data "
        "set's own, else samples are stacked",
    )
    num_workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="worker processes of the DataLoader lane; threads that decode encoded files, 0 for one a core",
    )
    prefetch_factor: int = Field(default=2, ge=1, description="batches each worker prepares ahead")
    pin_memory: bool = Field(default=True, description="page-locked batches; has an effect with a GPU only")
    persistent_workers: bool = Field(default=True, description="keep worker processes from one epoch to the next")
    timeout: float = Field(default=0.0, ge=0, description="seconds to wait for a worker's batch; 0 for ever")
    worker_init: CodeName = Field(
        default="", description="path/to/file.py:function, called with its number in every worker process"
    )

    @model_validator(mode="after")
    def _options_agree(self) -> LoaderConfig:
        drawing = ("balanced", "weighted", "replacement")
        if not self.shuffle and self.sampler in ("shuffled", *drawing):
            raise ValueError(f'sampler = "{self.sampler}" draws a random order, and shuffle = false forbids one')
        if self.num_samples and self.sampler not in drawing:
            raise ValueError(
                f"num_samples = {self.num_samples} needs a sampler that draws with replacement: "
                'sampler = "balanced", "weighted" or "replacement"'
            )
        if (self.sampler == "weighted") != bool(self.weights):
            raise ValueError('weights belong to sampler = "weighted", and that needs them')
        if self.sampler != "distributed" and (self.num_replicas or self.rank >= 0):
            raise ValueError('num_replicas and rank belong to sampler = "distributed"')
        if 0 < self.num_replicas <= self.rank:
            raise ValueError(
                f"rank = {self.rank} and num_replicas = {self.num_replicas} contradict each other: ranks go from 0 to "
                f"{self.num_replicas - 1}"
            )
        if self.batch_sampler:
            for name in ("sampler", "num_samples", "drop_last", "weights"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} has no say where batch_sampler makes the batches: leave one of both out")
        for name in ("timeout", "worker_init"):
            if getattr(self, name) and not self.num_workers:
                raise ValueError(f"{name} is about worker processes, and num_workers = 0 has none")
        return self
