"""What runs a network on a device: an artifact of TVM, or another runtime in a process of its own."""
