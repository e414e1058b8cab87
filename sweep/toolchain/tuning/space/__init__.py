"""TVM's design spaces as plain search spaces, and the search of one workload in them."""
