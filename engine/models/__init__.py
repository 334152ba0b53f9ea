"""Networks: which can be named, how they are built, what is inside them, and where their weights come from."""
