"""Modal screens over the studio."""
