"""Explore data before training: counts, statistics, duplicates, samples before and after the transforms."""
