"""Recording of a training loop that is not torchdeck's, into a run's directory."""
