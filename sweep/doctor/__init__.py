"""Looks at a machine and an installation before a sweep does: what is wrong, and what to do about it."""

from sweep.doctor.diagnosis import diagnose, run_doctor
from sweep.doctor.finding import Finding

__all__ = ["Finding", "diagnose", "run_doctor"]
