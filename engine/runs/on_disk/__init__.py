"""A run directory on disk: its paths, its lock, and the files of records in it."""
