"""Start, resume and fork runs, watch for their end, and send notifications."""
