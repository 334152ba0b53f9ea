"""This machine: how fast it trains, and what works on it."""
