"""Relax passes of our own, for the opt-level recipes. Importing one imports TVM; `view` alone does not."""
