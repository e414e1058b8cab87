"""Real boards and hosts: the farm that serves them, the session that measures on one, the runtimes.

With `toolchain` the only importer of TVM and of other runtimes. It knows neither grids nor plans: it takes
a device and files, and gives back measurements or an error of the tree. Nothing is imported here, because each process
of the farm enters through one module and must not pay for the others.
"""
