"""Files that must be right: written whole or not at all, opened only if regular, JSON with every number."""
