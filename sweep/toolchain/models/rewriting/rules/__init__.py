"""What takes the place of an operator, by its name."""
