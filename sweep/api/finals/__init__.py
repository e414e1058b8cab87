"""The finals of a run: planned over what it has measured, held on its engine."""
