"""Settings of a run, defined once for the TOML file, `--set`, the studio's forms, the help and the docs.

Sections whose arguments belong to a library (transforms, models, losses, optimizers, schedules) are
`Component`s: a name and that library's own keyword arguments, checked against the library's signature by the module
that builds them.
"""

from .data import DataConfig, LoaderConfig
from .housekeeping import CheckpointConfig, MirrorConfig, NotifyConfig, TerminalNotice
from .model import InitRule, ModelConfig
from .optimization import LossConfig, OptimizerConfig, ParameterGroup, ScheduleConfig
from .parallel import ParallelConfig
from .run import RunConfig
from .section import Component, Section
from .training import EarlyStoppingConfig, EmaConfig, EvaluationConfig, MetricConfig, TrainingConfig

__all__ = [
    "CheckpointConfig",
    "Component",
    "DataConfig",
    "EarlyStoppingConfig",
    "EmaConfig",
    "EvaluationConfig",
    "InitRule",
    "LoaderConfig",
    "LossConfig",
    "MetricConfig",
    "MirrorConfig",
    "ModelConfig",
    "NotifyConfig",
    "OptimizerConfig",
    "ParallelConfig",
    "ParameterGroup",
    "RunConfig",
    "ScheduleConfig",
    "Section",
    "TerminalNotice",
    "TrainingConfig",
]
