"""Models of TensorFlow, on the side that plans."""
