"""Updates of the weights: optimizers, parameter groups, schedules, clipping, weight averages."""
