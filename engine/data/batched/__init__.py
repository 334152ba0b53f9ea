"""Transforms done on whole batches, each sample with its own random parameters."""
