"""Screens that lie over the studio and ask something."""
