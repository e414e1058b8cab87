"""Models that Keras has saved."""
