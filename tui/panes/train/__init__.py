"""The train pane: a run's progress, curves, devices and epochs."""

from .pane import TrainPane

__all__ = ["TrainPane"]
