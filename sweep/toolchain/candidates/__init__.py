"""Candidate schedules: built and then timed on a device, for tuners and for overlays alike. No TVM."""
