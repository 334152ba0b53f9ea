"""Curves, bars and histograms in characters."""
