"""What the model pane says."""
