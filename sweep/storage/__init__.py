"""A sweep kept at a URI (object stores and file systems, through pyarrow): sent there as it grows, fetched from there.

An object store has no append, no fsync and no lock, which the ledger needs. So a sweep works in a folder of this host,
and what it finishes is sent along in commits. Knows the layout of a sweep directory; knows neither engines nor grids.
"""
