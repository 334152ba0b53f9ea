"""Metrics, counted on the device batch by batch."""
