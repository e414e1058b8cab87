"""Studies that commands write for a person: of one network on one device, and the first one of all."""
