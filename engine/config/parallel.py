"""Settings of the processes that train one model together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from .section import Section


class ParallelConfig(Section):
    """Several processes that train one model, started by torchrun."""

    processes: int = Field(
        default=1,
        ge=0,
        le=4096,
        description="processes on each machine that train the model together; 0: one for each GPU",
    )
    devices: list[int] = Field(
        default_factory=list,
        description="numbers of the GPUs to train on, one process each, such as [0, 1, 2, 3]; empty: the first ones",
    )
    machines: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="machines that train the model together; `torchdeck train … --nodes 2 --join HOST:PORT` on each",
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        default="ddp",
        description='"ddp": each process has all of the weights; "fsdp": each has a part of the weights, their '
        "gradients and the optimizer's state, for models that one GPU can't hold",
    )
    sync_batch_norm: bool = Field(
        default=False,
        description="take the statistics of batch normalization over the batch of all processes; GPUs only",
    )
    exact_shards: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="compute each step in this many shards, a power of two, that are added up in a fixed order: the "
        "result has the same bits on 1, 2, 4, … processes; 0: off",
    )
    restarts: int = Field(
        default=3, ge=0, le=1000, description="how often the processes are started again after one of them was lost"
    )
    timeout_minutes: float = Field(
        default=10.0, gt=0, description="how long a process waits for the others before they count as lost"
    )
    meeting_minutes: float = Field(
        default=10.0,
        gt=0,
        description="how long machines wait for each other at the start, and for one that was lost to come back",
    )

    @field_validator("devices")
    @classmethod
    def _once_each(cls, devices: list[int]) -> list[int]:
        if any(device < 0 for device in devices) or len(set(devices)) < len(devices):
            raise ValueError("must be numbers of GPUs, from 0, each once")
        return devices

    @field_validator("exact_shards")
    @classmethod
    def _power_of_two(cls, shards: int) -> int:
        if shards & (shards - 1):
            raise ValueError("must be 0 or a power of two: 1, 2, 4, 8, …")
        return shards

    @model_validator(mode="after")
    def _one_process_a_device(self) -> ParallelConfig:
        if self.devices and self.processes not in (0, 1, len(self.devices)):
            raise ValueError(
                f"processes = {self.processes} for {len(self.devices)} devices: each device has one process; leave "
                "processes out"
            )
        return self

    @property
    def is_several(self) -> bool:
        """Whether it takes processes besides the one that asks: several, or as many as there are GPUs."""
        return self.processes != 1 or len(self.devices) > 1 or self.machines > 1
