"""One inference of what a sweep has made: a person's inputs, its outputs, and the classes that they name."""
