"""A network as files that other programs read: graph JSON, parameters, pictures; and the way back."""
