"""Words of sweeps: trials, settings, results."""
