"""Tests of the quantisation of networks."""
