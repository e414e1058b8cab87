"""Rooflines of measured cells."""
