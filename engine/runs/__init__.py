"""Run directories: what a live run writes, what is read of it, its checkpoints and its control socket."""
