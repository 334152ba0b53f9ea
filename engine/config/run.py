"""The complete configuration of a run."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ..errors import did_you_mean
from ..metric_names import BUILT_IN, is_measured
from .data import DataConfig, LoaderConfig
from .housekeeping import CheckpointConfig, MirrorConfig, NotifyConfig
from .model import ModelConfig
from .optimization import LossConfig, OptimizerConfig, ScheduleConfig
from .parallel import ParallelConfig
from .section import Component, Section, named_components
from .training import EarlyStoppingConfig, EmaConfig, EvaluationConfig, TrainingConfig


def _run_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError("must be 1 to 80 letters, digits, '.', '_' or '-', the first a letter or a digit")
    return name


class RunConfig(Section):
    """Complete configuration of a run: all that `torchdeck train FILE` needs."""

    name: Annotated[str, AfterValidator(_run_name)] = Field(default="run", description="name of the run")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed for all randomness")
    start_from: str = Field(
        default="", description="checkpoint of another run to start from with its whole state, as a fork"
    )
    callbacks: Annotated[list[Component], BeforeValidator(named_components)] = Field(
        default_factory=list,
        description="your own code, called at the run's events: path/to/file.py:factory, arguments",
    )
    data: DataConfig = Field(default_factory=DataConfig)
    loader: LoaderConfig = Field(default_factory=LoaderConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    parallel: ParallelConfig = Field(default_factory=ParallelConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    ema: EmaConfig = Field(default_factory=EmaConfig)
    early_stopping: EarlyStoppingConfig = Field(default_factory=EarlyStoppingConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    mirror: MirrorConfig = Field(default_factory=MirrorConfig)

    @model_validator(mode="after")
    def _metrics_are_measured(self) -> RunConfig:
        keys = self.evaluation.metric_keys
        for key, name in (
            ("checkpoint.best_metric", self.checkpoint.best_metric),
            ("early_stopping.metric", self.early_stopping.metric),
            ("schedule.metric", self.schedule.metric),
        ):
            if not is_measured(name, keys):
                known = (*BUILT_IN, *keys)
                hint = did_you_mean(name, known, limit=0)
                allowed = ", ".join(repr(each) for each in known)
                raise ValueError(
                    f"{key} = '{name}': must be one of {allowed}{hint if 'did you mean' in hint else ''} "
                    "(metrics of your own are named in evaluation.metrics)"
                )
        return self
