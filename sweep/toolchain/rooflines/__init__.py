"""What a device can do at most, and what each layer of a built network asks of it."""
