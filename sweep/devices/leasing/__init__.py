"""Leases of boards and cores, the registers that hold them, and the health of boards."""
