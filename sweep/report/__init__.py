"""Shows a sweep to people: progress while it runs; its results as tables, pages and files. Computes no number."""
