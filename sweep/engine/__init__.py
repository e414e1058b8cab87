"""Engines perform attempts: in this process, on Ray, or simulated. The only room that imports ray."""
