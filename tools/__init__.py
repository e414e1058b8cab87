"""Scripts that `make` runs, of the standard library and what they build."""
