"""Distributed batch sweeps of model x target x tuner x opt-level for Apache TVM on Ray."""

__version__ = "0.1.0"
