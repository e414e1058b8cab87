"""What each kind of stage results in, as a type.

A result is written to the ledger as JSON and read back from it, also where an older or newer version has written it.
Free-form JSON stays where a board has its own words: conditions.
"""
