"""Models of a device: what a network will take in time or memory, from the geometry of its layers.

Holds tables of layers and measurements, analytical features, three kinds of models, calibrated intervals and their
evaluation. Must not know how a sweep is planned, run or reported.
"""
