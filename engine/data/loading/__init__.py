"""From samples to batches: which samples, by which lane, from which storage."""
