"""The picture of a network's graph."""
