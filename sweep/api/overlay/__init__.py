"""The overlay command: which tuned cells it is of, what is still to be measured, the network built from it."""
