"""Importers of models, on the side that plans: which of them reads a model, and what decides the result."""
