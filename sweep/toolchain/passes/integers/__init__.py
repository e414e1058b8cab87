"""Passes that make a quantised network compute in integers."""
