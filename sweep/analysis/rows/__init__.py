"""Rows that people read, one a cell, a repeat or a task; and the table of their columns."""
