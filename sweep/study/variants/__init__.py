"""Variants: models of a study that are made of another of its models."""
