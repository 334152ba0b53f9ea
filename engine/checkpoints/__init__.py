"""What can be done with a checkpoint: evaluate, compare, export, and whether a resume from it is exact."""
