"""What a network's file holds: its graph, what its layers cost, a picture of it, and which operators an importer knows.

It compiles nothing and runs nothing, so that a person learns all this without TVM. `network_graph` is what readers of
every format give and all the rest takes.
"""
