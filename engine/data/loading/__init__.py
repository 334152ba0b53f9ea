"""From samples to batches: which samples, by which tier, from which storage."""
