"""How near the layers of a network come to what their device can do at most."""
