"""The client's side of TVM's tracker and RPC servers."""
