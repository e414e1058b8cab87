"""What `sweep inspect` is put together from: tables of operators, text, files that are written."""
