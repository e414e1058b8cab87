"""Carrying out a plan: a pure state machine decides, engines obey, one driver writes the ledger."""
