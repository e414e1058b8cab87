"""Passes of TVM, each around what it cannot take."""
