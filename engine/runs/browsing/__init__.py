"""All runs of a folder: found, filtered, sorted, named, renamed, deleted."""
