"""Sweep directories, stores and models that somebody made to do harm to whoever opens them."""
