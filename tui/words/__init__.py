"""Runs, models, data and figures as text, for the command line and the panes alike."""
