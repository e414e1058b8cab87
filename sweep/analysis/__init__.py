"""Turns measurements into statements: statistics, result rows, the answer in words. Pure but for `saved`."""
