"""Readers of networks, one a format."""
