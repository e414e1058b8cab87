"""How a person's YAML is read, and how a mistake in it is told."""
