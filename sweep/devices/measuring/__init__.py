"""How a latency is taken: sampling, blocks and rounds, conditions, sentinel kernel, output check."""
