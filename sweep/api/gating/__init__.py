"""Holding a study against a baseline."""
