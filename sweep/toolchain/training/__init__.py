"""Trains networks on small labelled sets, on a CPU, while weights are pruned away on a schedule."""
