"""A pool: all that one tuner tunes for one target on one device, until schedules are chosen."""
