"""The cluster file, this host, and whether a target fits a device."""
