"""From a PyTorch module, or an exported program, to a network of fixed shapes. Nothing else here imports torch."""
