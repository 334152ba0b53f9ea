"""The data pane: data sets, samples, transforms, and what is known about them."""
