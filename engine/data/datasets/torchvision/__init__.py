"""torchvision's data sets: which there are, and how each is opened and fetched."""
