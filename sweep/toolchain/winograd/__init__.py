"""Winograd's convolutions: 3x3 windows computed with fewer products, on tiles of transformed data and weights."""
