"""What watches a run in training, and says or decides something of it."""
