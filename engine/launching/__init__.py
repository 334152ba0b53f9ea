"""Starting, resuming and forking runs, watching over their end, and notifying whoever waits for it."""
