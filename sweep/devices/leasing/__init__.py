"""Who may use which board or core now: leases, registers, the health of boards."""
