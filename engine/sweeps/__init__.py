"""Sweeps: many runs of one config with varied settings. Optuna chooses the values; each trial is an ordinary run."""
