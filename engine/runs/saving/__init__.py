"""The checkpoints of a run: saved durably in the background, indexed, pinned, retained, opened safely."""
