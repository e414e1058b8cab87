"""Tuners as a study names them: their options, and a person's own."""
