"""What moves the weights: optimizers, parameter groups, schedules, clipping, weight averages."""
