"""The keys: one table, from which bindings, the last line, the help and the command palette are made."""
