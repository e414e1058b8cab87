"""The ledger of a sweep: lines, state, repair; the plan saved beside it; the outcome of both."""
