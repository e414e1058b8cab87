"""The Ray engine: actors, jobs, nodes and metrics. The only importer of ray."""
