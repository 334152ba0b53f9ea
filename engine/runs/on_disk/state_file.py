"""What `state.json` says of a run: where it stands, as its process last wrote it."""

from __future__ import annotations

from typing import Protocol, TypedDict, Unpack


class _Place(TypedDict):
    metric: str
    value: float
    epoch: int
    step: int


class BestResult(_Place, total=False):
    """The best evaluation of a run so far.

    Attributes:
        metric: metric by which evaluations are compared.
        value: value of that metric; NaN where the record lacks it.
        epoch: the epoch it was measured in, from 1.
        step: optimizer steps done.
        weights: "ema" where the average of the weights was compared, else "raw"; missing where no average is kept.
    """

    weights: str


class SavedFile(TypedDict):
    """The newest checkpoint on disk, and where the run stood.

    Attributes:
        file: its name in the folder of checkpoints.
        step: optimizer steps done.
        epoch: epochs completed.
    """

    file: str
    step: int
    epoch: int


class ForkOrigin(TypedDict):
    """Where a forked run began.

    Attributes:
        run: name of the other run; empty for a file that lies in none.
        checkpoint: name of the checkpoint.
    """

    run: str
    checkpoint: str


class StateFile(TypedDict, total=False):
    """The content of `state.json`; any field may be missing, and what wrote the file may have been anything.

    Attributes:
        status: preparing, running, paused, finished, stopped or failed.
        phase: what is being done: decoding, compiling, training, evaluating; empty for nothing.
        message: more about that, for the screen.
        epoch: the epoch the run is in, from 1; 0 before the first.
        epochs: number of epochs that it shall train.
        step: optimizer steps done.
        total_steps: optimizer steps of the whole run; 0 while not known.
        step_in_epoch: optimizer steps done in this epoch.
        steps_per_epoch: optimizer steps of an epoch; 0 while not known.
        batch_size: samples per batch.
        config_crc: CRC-32 of `run.toml`: with it, a list of runs need not parse the file to know that it is sound.
        learning_rate: rate of the next step.
        clip_norm: largest norm of the gradients; 0 for no clipping.
        largest_part: most samples that go through the model at once; 0 for whole batches.
        seconds: time of this life of the run by what it was spent on, in seconds.
        metrics: those of the newest evaluation.
        best: the best evaluation so far; None before the first.
        compile: what came of compiling, for the screen.
        storage: the tier that the data are kept in.
        storage_reason: why in this one.
        uses_gpu: whether it computes on a CUDA device.
        pid: the process that trains it.
        pid_started: when that process began, in clock ticks since the machine did; None where that is not known.
        host: the machine.
        boot_id: tells one start of the machine from another.
        started: when the run began, in seconds since 1970.
        updated: when this was written, in seconds since 1970.
        error: why the run failed; None when it didn't.
        write_error: what can't be written and why.
        save_error: why the newest save failed; None when it didn't.
        saved: the newest checkpoint.
        disk_warning: that the disk fills up; None when it doesn't.
        resumed_from: file name of the checkpoint that this life of the run began with; None for none.
        forked_from: where a forked run began.
        exact: whether the run continues bit for bit what it was resumed or forked from.
        not_exact_because: why not.
        reads_commands: of a recorded run, whether its program asks for commands; missing for torchdeck's own.
    """

    status: str
    phase: str
    message: str
    epoch: int
    epochs: int
    step: int
    total_steps: int
    step_in_epoch: int
    steps_per_epoch: int
    batch_size: int
    config_crc: int
    learning_rate: float
    clip_norm: float
    largest_part: int
    seconds: dict[str, float]
    metrics: dict[str, float]
    best: BestResult | None
    compile: str
    storage: str
    storage_reason: str
    uses_gpu: bool
    pid: int
    pid_started: int | None
    host: str
    boot_id: str
    started: float
    updated: float
    error: str | None
    write_error: str
    save_error: str | None
    saved: SavedFile
    disk_warning: str | None
    resumed_from: str | None
    forked_from: ForkOrigin
    exact: bool
    not_exact_because: list[str]
    reads_commands: bool


class Report(Protocol):
    """Changes fields of a run's state, and fills in where the training stands."""

    def __call__(self, **fields: Unpack[StateFile]) -> None:
        """The fields that change."""
