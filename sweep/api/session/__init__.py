"""The parts of a run that several commands share: the claimed folder, farm and engine, paths, tables, report."""
