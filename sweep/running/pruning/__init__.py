"""Runs that measure less: what the measured cells say of the others decides which of them are worth their work."""
