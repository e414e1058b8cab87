"""One module for each kind of stage: which stages of it a cell takes, and what its job is given."""
