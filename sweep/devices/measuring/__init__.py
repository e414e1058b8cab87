"""Measures latencies: sampling, blocks and rounds, conditions, sentinel kernel, output check."""
