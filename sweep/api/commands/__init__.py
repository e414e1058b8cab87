"""The commands as functions, a module for each: what `sweep run`, `sweep compare` and the others do."""
