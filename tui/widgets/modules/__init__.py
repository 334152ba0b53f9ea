"""A widget for the tree of a model's modules."""
