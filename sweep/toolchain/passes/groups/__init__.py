"""Convolutions of several groups whose windows are one position, and the shuffles of channels between them."""
