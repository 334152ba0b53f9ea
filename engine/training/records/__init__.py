"""What a run in training records: its steps, where its time goes, its state."""
