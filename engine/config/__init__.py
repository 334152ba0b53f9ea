"""A run, described once: the TOML file, `--set`, the forms of the studio, the help and the docs all come from here.

Sections whose arguments belong to a library (transforms, models, losses, optimizers, schedules) are
`Component`s: a name and that library's own keyword arguments, which the module that builds them checks against
the library's signature.
"""

from engine.config.data import DataConfig, LoaderConfig
from engine.config.model import InitRule, ModelConfig
from engine.config.optimization import LossConfig, OptimizerConfig, ParameterGroup, ScheduleConfig
from engine.config.run import RunConfig
from engine.config.section import Component, Section
from engine.config.training import EarlyStoppingConfig, EmaConfig, EvaluationConfig, TrainingConfig
from engine.config.upkeep import CheckpointConfig, MirrorConfig, NotifyConfig, TerminalNotice

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
