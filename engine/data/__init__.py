"""Data sets, their transforms, where their pixels live, and the batches made of them."""
