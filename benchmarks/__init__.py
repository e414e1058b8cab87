"""Benchmarks of sweep itself. Each compares two things within one run: its ratios mean the same on any machine."""
