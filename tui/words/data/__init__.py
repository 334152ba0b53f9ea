"""What the data pane says."""
