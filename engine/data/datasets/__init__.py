"""The data sets there are, opened but not decoded: where their samples lie, and how they are split."""
