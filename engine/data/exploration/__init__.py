"""What a look at the data finds: counts, statistics, copies, samples before and after the transforms."""
