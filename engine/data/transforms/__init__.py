"""Transforms by name: their catalog entries, the pipeline of one sample, and the mixing of whole batches."""
