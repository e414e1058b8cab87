"""Variants of a network: what of it is pruned away, set to zero or trained, in its ONNX form."""
