"""A trial of comparing sweeps on a quiet machine: false alarms, and what is found. `python -m tests.gating_trial`."""
