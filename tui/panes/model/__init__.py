"""The model pane: the tree of modules, its memory, and the models to choose from."""
