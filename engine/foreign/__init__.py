"""Runs of other trainers, read live from what they write; nothing of theirs is changed."""
