"""Checkpoint files of any maker, read without torch and without running code from them."""
