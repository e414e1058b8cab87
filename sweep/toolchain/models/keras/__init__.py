"""From a model that Keras has saved to a PyTorch module. Nothing else here imports Keras."""
