"""The tree of a model's modules as a widget."""
