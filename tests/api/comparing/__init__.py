"""Comparing whole sweeps."""
