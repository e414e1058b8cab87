"""Columns of one subject each."""
