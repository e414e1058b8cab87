"""What a network costs, counted from its graph alone."""
