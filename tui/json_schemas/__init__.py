"""JSON Schemas of what the verbs print with `--json`, made from the types of the documents."""
