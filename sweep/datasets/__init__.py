"""Samples of data sets as arrays: read, preprocessed, split, and brought into the form that a network's input takes."""
