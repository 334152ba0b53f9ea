"""What the runs pane says."""
