"""Telling somebody how a run ended: by a program of theirs, or a webhook."""
