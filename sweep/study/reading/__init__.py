"""Reads a person's YAML, and turns a mistake in it into one line."""
