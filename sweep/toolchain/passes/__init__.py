"""Relax passes of our own, for the opt-level recipes. Importing one imports TVM."""
