"""Widgets of the studio that know nothing of torchdeck's runs; each takes plain values and posts messages."""
