"""What tuning leaves on disk, and reads back: native databases, logs of trials, warm starts."""
