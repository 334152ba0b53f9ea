"""Checks before a run starts: its plan, memory, parameter groups, batch size, learning rate."""
