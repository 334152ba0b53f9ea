"""A run, described once: the TOML file, `--set`, the forms of the studio, the help and the docs all come from here.

Sections whose arguments belong to a library (transforms, models, losses, optimizers, schedules) are
`Component`s: a name and that library's own keyword arguments, which the module that builds them checks against
the library's signature.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

Storage = Literal["auto", "device", "memory", "mmap", "encoded", "loader"]
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
Sampler = Literal["auto", "shuffled", "sequential", "balanced", "weighted", "replacement", "distributed"]
MetricName = Literal[
    "auto",
    "loss",
    "accuracy",
    "top_k",
    "macro_f1",
    "micro_f1",
    "weighted_f1",
    "macro_precision",
    "macro_recall",
    "calibration_error",
    "likelihood",
    "exact_match",
    "mae",
    "rmse",
    "r2",
]

Notable = Literal["finished", "stopped", "failed", "stalled"]
TerminalNotice = Literal["auto", "bell", "osc9", "osc777", "off"]


class Section(BaseModel):
    """A group of settings. Immutable; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Component(Section):
    """A part chosen from a library by name, with that library's own arguments beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = Field(min_length=1, description="its name in the catalogue, or path/to/file.py:factory")

    @property
    def arguments(self) -> dict[str, Any]:
        """The library's own keyword arguments: every key that is not a field of this section."""
        return dict(self.model_extra or {})


def _run_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError("must be 1 to 80 letters, digits, '.', '_' or '-', the first a letter or a digit")
    return name


def _validation(value: Any) -> str | float:
    if value == "test":
        return "test"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 0.9:
        return float(value)
    raise ValueError('must be "test", or a share of the training split above 0 and at most 0.9, such as 0.1')


def _class_weights(value: Any) -> str | list[float]:
    if value in ("none", "balanced"):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(item, int | float) and item >= 0 for item in value):
        return [float(item) for item in value]
    raise ValueError('must be "none", "balanced", or a list of one number a class, none of them negative')


class DataConfig(Section):
    """Which data set, how it is split, what is done to each sample, and where its pixels live."""

    dataset: str = Field(
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
        description="images of a folder that can't be decoded: stop says which before training, skip leaves them out",
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
    weights: str = Field(
        default="",
        description="of the weighted sampler: path/to/file.py:function of the targets, or a .npy or .txt file with a "
        "number for every training sample",
    )
    subset: str = Field(
        default="",
        description="train on a part: a share such as 0.1, a number of samples, or a .npy or .txt file of indices",
    )
    batch_sampler: str = Field(
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
    collate_fn: str = Field(
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
    worker_init: str = Field(
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


class InitRule(Component):
    """One rule of initialisation: a scheme of torch.nn.init with its arguments, and the parameters that it fills."""

    name: str = Field(min_length=1, description="scheme of torch.nn.init: kaiming_normal, orthogonal, zeros, …")
    modules: str = Field(
        default="*", description='pattern of module paths, as in model.freeze: "layer4", "re:.*conv1"'
    )
    types: str = Field(default="*", description='pattern of class names: "Conv*", "Linear"')
    parameters: str = Field(default="weight", description="pattern of the modules' own parameters")


class ModelConfig(Component):
    """Which network, where its weights come from, and which of them are trained."""

    name: str = Field(
        default="mlp",
        min_length=1,
        description="built-in name, torchvision model, or path/to/file.py:factory",
    )
    pretrained: bool = Field(default=False, description="start from the library's published weights")
    weights: str = Field(default="", description="start from the weights in this file")
    weights_entry: str = Field(
        default="",
        description="the entry of that file to take them from, such as state_dict_ema; empty finds the best fit",
    )
    freeze: list[str] = Field(
        default_factory=list,
        description='modules not trained, as patterns; the last match wins, "!" re-opens: ["*", "!fc"]; '
        '"re:" begins a regular expression',
    )
    freeze_norm: bool = Field(
        default=True, description="normalisation layers that are frozen keep their running statistics, too"
    )
    init: list[InitRule] = Field(
        default_factory=list,
        description='fill parameters anew: [{ name = "kaiming_normal", types = "Conv*" }]; '
        "trained weights only where modules names them",
    )


class LossConfig(Component):
    """What is minimised."""

    name: str = Field(
        default="cross_entropy",
        min_length=1,
        description="cross_entropy for classes, bce for labels of 0 and 1, mse, l1, smooth_l1 or huber for numbers, "
        "or path/to/file.py:loss",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    class_weights: Annotated[str | list[float], PlainValidator(_class_weights)] = Field(
        default="none",
        description="what each class counts, or each label where it is 1: a list of numbers, or balanced: the rarer "
        "in the training split the more",
    )
    auxiliary: float = Field(
        default=0.3, ge=0, description="weight of the losses of auxiliary classifiers, for models that return them"
    )


class ParameterGroup(Section):
    """Options of the weights whose names match a pattern; further keys are arguments of the optimizer."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    pattern: str = Field(min_length=1, description='of parameter names, as in model.freeze: "head", "*.bias"')
    lr_factor: float = Field(default=1.0, gt=0, description="of the learning rate")

    @property
    def arguments(self) -> dict[str, Any]:
        """The optimizer's own keyword arguments."""
        return dict(self.model_extra or {})


class OptimizerConfig(Component):
    """Any optimizer of torch.optim, with its own arguments."""

    name: str = Field(default="SGD", min_length=1, description="a class of torch.optim")
    lr: float = Field(default=0.01, gt=0, description="learning rate")
    decay_1d: bool = Field(
        default=True, description="weight decay also on vectors: biases and the weights of normalisation layers"
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor of the learning rate from one layer to the one before it"
    )
    groups: list[ParameterGroup] = Field(
        default_factory=list,
        description='options by name, the last match wins: [{ pattern = "head", lr_factor = 10, weight_decay = 0.0 }]',
    )


class ScheduleConfig(Component):
    """Any schedule of torch.optim.lr_scheduler, with its own arguments, after an optional linear warm-up."""

    name: str = Field(
        default="constant", min_length=1, description='a class of torch.optim.lr_scheduler, or "constant"'
    )
    warmup_epochs: float = Field(default=0.0, ge=0, description="epochs of linear warm-up from 0 to the learning rate")
    interval: Literal["epoch", "step"] = Field(
        default="step",
        description="what one step of the schedule is; its arguments count in this unit, but for ReduceLROnPlateau, "
        "which counts evaluations",
    )
    metric: MetricName = Field(default="loss", description="validation metric that ReduceLROnPlateau watches")


class TrainingConfig(Section):
    """The loop."""

    epochs: int = Field(default=10, ge=1, le=1_000_000, description="passes over the training split")
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:1, mps"
    )
    precision: Precision = Field(
        default="auto",
        description="fp32, tf32, bf16 or fp16 (with GradScaler); auto: bf16 on a GPU that has it, else fp32",
    )
    compile: bool = Field(default=False, description="compile the model with torch.compile")
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = Field(
        default="default", description="torch.compile's mode"
    )
    compile_dynamic: Literal["auto", "always", "never"] = Field(
        default="auto", description="graphs for any batch size: auto from the second size on, always, or never"
    )
    channels_last: bool = Field(default=False, description="keep images and weights in channels-last memory format")
    accumulate: int = Field(default=1, ge=1, le=4096, description="batches a step: gradients are summed over them")
    clip_norm: float = Field(default=0.0, ge=0, description="largest gradient norm; 0 switches clipping off")
    clip_by: Literal["norm", "value", "adaptive"] = Field(
        default="norm",
        description="what clip_norm bounds: the norm of all gradients, each component, or adaptive: the norm of each "
        "unit's gradient as a share of the norm of its weights",
    )
    probe_every: int = Field(
        default=50, ge=0, description="steps between two looks at the gradients of every module; 0 for none"
    )
    on_nonfinite: Literal["stop", "rollback"] = Field(
        default="stop", description="after a loss that is no number: stop, or go back to the last good checkpoint"
    )
    rollback_lr_factor: float = Field(
        default=0.5, gt=0, le=1, description="what going back multiplies the learning rate by"
    )
    max_rollbacks: int = Field(default=3, ge=1, description="how often a run goes back before it stops")
    deterministic: bool = Field(default=False, description="only deterministic kernels; slower on some GPUs")
    num_threads: int = Field(
        default=0, ge=0, le=1024, description="CPU threads of torch; 0 leaves one core to the screen"
    )


class EvaluationConfig(Section):
    """When and how the model is measured on the validation split."""

    every_epochs: int = Field(
        default=1, ge=1, description="measure after every so many epochs; after the last in any case"
    )
    every_steps: int = Field(default=0, ge=0, description="measure after every so many steps as well; 0 for never")
    top_k: int = Field(default=5, ge=1, description="a sample counts in top_k when its class is among so many")
    threshold: float = Field(default=0.5, gt=0, lt=1, description="probability from which bce's labels are predicted")
    calibration_bins: int = Field(
        default=15, ge=1, le=1000, description="intervals of confidence that calibration is measured in"
    )


class EmaConfig(Section):
    """A moving average of the weights, measured and saved beside them."""

    decay: float = Field(
        default=0.0, ge=0, lt=1, description="share of itself that the average keeps at an update; 0 for no average"
    )
    warmup: bool = Field(default=True, description="a smaller decay in the first updates: (1 + n) / (10 + n)")
    every_steps: int = Field(default=1, ge=1, description="update the average after every so many steps")
    decides_best: bool = Field(
        default=False, description="the average's metrics decide which is best, early stopping and plateaus"
    )


class EarlyStoppingConfig(Section):
    """Ending a run that no longer gets better."""

    patience: int = Field(
        default=0, ge=0, description="evaluations in a row without an improvement that end the run; 0 for never"
    )
    min_delta: float = Field(default=0.0, ge=0, description="an improvement has to be larger than this")
    metric: MetricName = Field(
        default="auto", description="validation metric that has to improve; auto: that of checkpoint.best_metric"
    )


class CheckpointConfig(Section):
    """When the run is saved and what is kept."""

    every_epochs: int = Field(default=1, ge=0, description="save after every so many epochs; 0 for never")
    every_steps: int = Field(default=0, ge=0, description="save after every so many steps as well; 0 for never")
    every_minutes: float = Field(
        default=0.0, ge=0, description="save as well when the last save is so many minutes old; 0 for never"
    )
    keep_last: int = Field(default=3, ge=1, description="how many of the newest checkpoints are kept")
    keep_every: int = Field(
        default=0, ge=0, description="keep the checkpoint of every so many epochs for good; 0 for none"
    )
    best_metric: MetricName = Field(
        default="auto",
        description="validation metric that decides which is best; auto: accuracy, or loss where targets are numbers",
    )
    requeue: bool = Field(
        default=False, description="under SLURM, SIGUSR1 saves, ends and puts the job back into the queue"
    )


def _webhook(url: str) -> str:
    if url and not re.match(r"https?://[^\s/]+", url):
        raise ValueError("must be the address of a web server, beginning with https:// or http://")
    return url


class NotifyConfig(Section):
    """Who is told when nobody looks."""

    on: list[Notable] = Field(
        default=["finished", "failed", "stalled"], description="what is told: finished, stopped, failed, stalled"
    )
    after_minutes: float = Field(default=1.0, ge=0, description="the end of a shorter run is not told")
    stalled_minutes: float = Field(
        default=15.0, ge=0, description="a run without a step for so long has stalled; 0 never looks"
    )
    command: str = Field(
        default="", description="shell command to run, with TORCHDECK_RUN, _PATH, _STATUS and _TEXT in its environment"
    )
    webhook: Annotated[str, AfterValidator(_webhook)] = Field(
        default="", description="address that gets the notice as JSON, in a form that Slack and Discord show"
    )
    terminal: TerminalNotice = Field(
        default="auto",
        description="how an attached terminal tells: bell, osc9 or osc777 (desktop notifications), off; "
        "auto: a bell and what the terminal understands",
    )


class MirrorConfig(Section):
    """Copies of the metrics in other tools' formats, while the run goes on."""

    tensorboard: bool = Field(
        default=False, description="TensorBoard event files in the run's folder tensorboard; needs the package"
    )


def _named(value: Any) -> Any:
    """A list in which a bare string stands for a component without arguments."""
    if not isinstance(value, list):
        return value
    return [{"name": item} if isinstance(item, str) else item for item in value]


class RunConfig(Section):
    """A complete run. `torchdeck train FILE` needs nothing else."""

    name: Annotated[str, AfterValidator(_run_name)] = Field(default="run", description="name of the run")
    seed: int = Field(default=0, ge=0, lt=2**63, description="everything random follows from it")
    start_from: str = Field(
        default="", description="begin from the whole state in this checkpoint of another run, as a fork of it"
    )
    callbacks: Annotated[list[Component], BeforeValidator(_named)] = Field(
        default_factory=list, description="your own code at the events of the run: path/to/file.py:factory, arguments"
    )
    data: DataConfig = Field(default_factory=DataConfig)
    loader: LoaderConfig = Field(default_factory=LoaderConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    ema: EmaConfig = Field(default_factory=EmaConfig)
    early_stopping: EarlyStoppingConfig = Field(default_factory=EarlyStoppingConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    mirror: MirrorConfig = Field(default_factory=MirrorConfig)

    @model_validator(mode="after")
    def _sections_agree(self) -> RunConfig:
        if self.schedule.warmup_epochs >= self.training.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError(
                f"schedule.warmup_epochs = {self.schedule.warmup_epochs:g} must be below "
                f"training.epochs = {self.training.epochs}"
            )
        return self
