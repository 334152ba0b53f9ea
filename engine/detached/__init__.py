"""Runs in processes of their own that outlive the one that started them, and the locks that say which of them live."""
