"""PyTorch's models on the side that plans: archives are read without torch, factories by their sources."""
