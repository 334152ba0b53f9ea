"""The command palette: everything of the studio by name."""
