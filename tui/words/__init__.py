"""Runs, models, data and figures as text, for both the command line and the panes."""
