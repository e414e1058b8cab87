"""What a person sees: progress while a sweep runs; its results as tables, pages and files. Computes no number."""
