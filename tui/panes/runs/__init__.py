"""The runs pane: the table of runs, their checkpoints, curves and actions."""
