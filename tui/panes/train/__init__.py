"""The train pane: a run's progress, curves, devices and epochs."""
