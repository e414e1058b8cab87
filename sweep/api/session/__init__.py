"""What several commands need around their work: the claimed folder, farm and engine, paths, tables, report."""
