"""Models of a device: fitted to tables and sweeps, evaluated, asked."""
