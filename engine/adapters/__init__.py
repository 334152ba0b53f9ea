"""Record the runs of other libraries: a class for each, in its own terms. They are names of `torchdeck` itself."""
