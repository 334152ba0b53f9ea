"""Settings that earlier versions had: left out where they did nothing, refused with what to do where they did."""

from __future__ import annotations

from typing import Any

# By section and name, the value with which a setting did nothing.
_RETIRED = {("loader", "num_replicas"): 0, ("loader", "rank"): -1}
_INSTEAD = (
    "was removed: it divided the samples among processes and averaged none of their gradients; train on several "
    "processes with parallel.processes or parallel.devices, as torchdeck train … --gpus 0-3 does"
)


def without_retired(values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The values of a config file without retired settings that did nothing.

    Args:
        values: nested, as in the TOML file; they are not changed.

    Returns:
        The values, and what is wrong with a retired setting that did something; empty if there is none.
    """
    problem = ""
    for (section, name), idle in _RETIRED.items():
        inside = values.get(section)
        if not isinstance(inside, dict) or name not in inside:
            continue
        if inside[name] != idle:
            problem = f"{section}.{name} {_INSTEAD}"
        values = {**values, section: {key: value for key, value in inside.items() if key != name}}
    loader = values.get("loader")
    if isinstance(loader, dict) and loader.get("sampler") == "distributed":
        problem = f'loader.sampler = "distributed" {_INSTEAD}'
    return values, problem
