"""Passes that keep what an axis asks for by name: a layout at every level, layers in float32."""
