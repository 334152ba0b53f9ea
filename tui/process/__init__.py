"""The processes behind the studio: its terminal, its parent, the worker process and the jobs in it."""
