"""TVM's tracker and RPC servers as a client sees them."""
