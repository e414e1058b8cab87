"""Runs networks on a device: an artifact through TVM, or a network in another runtime's own process."""
