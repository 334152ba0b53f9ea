"""What the train pane and the log say about a run."""
