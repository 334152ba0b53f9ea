"""A trial in words, for the shell and the pane of sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchdeck.engine.sweeps.definition import Definition
from torchdeck.engine.sweeps.journal import Trial
from torchdeck.engine.sweeps.objective import Objective

from ...draft_form import toml_text
from ..metric_text import metric_text


def trial_state(trial: Trial) -> str:
    """State of a trial; a complete one that violates a constraint is "infeasible"."""
    return "infeasible" if trial.state == "complete" and not trial.is_feasible else trial.state


def values_text(trial: Trial, objectives: Sequence[Objective]) -> str:
    """The results of a trial by name; empty before there are any."""
    pairs = zip(objectives, trial.values, strict=False)
    return ", ".join(f"{objective.name} {metric_text(objective.name, value)}" for objective, value in pairs)


def settings_text(settings: Mapping[str, Any], *, names: bool = True) -> str:
    """Settings as `lr=0.003 batch_size=64`, or their values alone."""
    short = short_names(list(settings))
    return " ".join(
        f"{short[key]}={setting_text(value)}" if names else setting_text(value) for key, value in settings.items()
    )


def setting_text(value: Any) -> str:
    """The value of a setting: a number with four digits, anything else as TOML writes it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return toml_text(value)


def setting_columns(definition: Definition) -> dict[str, str]:
    """Headings of the settings that a sweep varies, by dotted key."""
    return short_names([dimension.key for dimension in definition.space])


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted key, or all of it where two end alike."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 and end != "name" else key for key, end in zip(keys, ends, strict=True)}
