"""Targets as written, and what the installed TVM knows of targets."""
