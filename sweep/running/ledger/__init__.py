"""The ledger of a sweep: lines, state, repair; the plan saved beside it; and what both come to."""
