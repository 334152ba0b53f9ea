"""A run, described once: the TOML file, `--set`, the forms of the studio, the help and the docs all come from here.

Sections whose arguments belong to a library (transforms, models, losses, optimizers, schedules) are
`Component`s: a name and that library's own keyword arguments, which the module that builds them checks against
the library's signature.
"""

from .data import DataConfig, LoaderConfig
from .housekeeping import CheckpointConfig, MirrorConfig, NotifyConfig, TerminalNotice
from .model import InitRule, ModelConfig
from .optimization import LossConfig, OptimizerConfig, ParameterGroup, ScheduleConfig
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
    "ParameterGroup",
    "RunConfig",
    "ScheduleConfig",
    "Section",
    "TerminalNotice",
    "TrainingConfig",
]
