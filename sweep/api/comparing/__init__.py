"""Comparing whole sweeps: where each side comes from, and how both are measured in turns now."""
