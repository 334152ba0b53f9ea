"""Widgets of the studio. They know nothing about torchdeck's runs: they take plain values and post messages."""
