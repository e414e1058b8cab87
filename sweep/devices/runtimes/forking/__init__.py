"""A runtime's library, loaded once in a process that forks a child for each measurement."""
