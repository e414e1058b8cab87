"""Describes programs to tuners, and has designs of our own beside those of TVM, each for programs of one form."""
