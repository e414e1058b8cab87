"""Commands about a model alone: nothing is compiled, and no sweep is read."""
