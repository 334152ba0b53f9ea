"""The studio's processes: its terminal, its parent, the worker process and its jobs."""
