"""A queue of runs for a machine that several people share: a job starts when there is a place for it."""
