"""The training loop and its parts: step, optimizers, schedules, metrics, evaluation, exact state."""
