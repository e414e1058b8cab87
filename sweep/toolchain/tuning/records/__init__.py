"""The records that tuning leaves on disk: native databases, logs of trials and of validations."""
