"""What the rows of a sweep allow to be said: which cell is best, what is certain, what is open, in words."""
