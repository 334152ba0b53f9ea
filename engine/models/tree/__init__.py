"""A model as a tree of modules, with parameter counts and shapes, built without allocating its weights."""
