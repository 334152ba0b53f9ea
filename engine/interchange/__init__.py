"""A run's metrics for other tools, and other tools' curves for the comparison."""
