"""Engines perform attempts: in this process, on Ray, simulated, or replayed. The only room that imports ray."""
