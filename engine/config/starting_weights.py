"""The file whose weights a model starts from, as settings of the model that agree with each other."""

from __future__ import annotations

from typing import Any

from .run import RunConfig


def weights_from(file: str, entry: str = "") -> dict[str, Any]:
    """Settings of a model that starts from the weights in a file.

    Args:
        file: path of the file; empty for none.
        entry: entry of the file that holds the weights; empty for the best match.
    """
    settings: dict[str, Any] = {"weights": file, "weights_entry": entry}
    # A model starts from published weights or from a file, not from both.
    return {**settings, "pretrained": False} if file else settings


def with_weights(config: RunConfig, file: str) -> RunConfig:
    """A config whose model starts from the weights in a file; the entry stays only with the file that it is of.

    Args:
        config: config to change.
        file: path of the file; empty for none.
    """
    entry = config.model.weights_entry if file == config.model.weights else ""
    model = config.model.model_copy(update=weights_from(file, entry))
    return config.model_copy(update={"model": model})
