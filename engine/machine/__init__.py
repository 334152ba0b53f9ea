"""The machine a run computes on: cores, memory, devices, signals."""
