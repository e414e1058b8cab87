"""Stages that cells have in common: drafts, ids and counts of them."""
