"""Networks answer labelled samples: compiled code over RPC, others in a process of their own."""
