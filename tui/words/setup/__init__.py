"""What the setup pane says."""
