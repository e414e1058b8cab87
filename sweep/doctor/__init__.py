"""Checks a machine and an installation before a sweep needs them, and names the mend of each problem."""

from sweep.doctor.diagnosis import diagnose, run_doctor
from sweep.doctor.finding import Finding

__all__ = ["Finding", "diagnose", "run_doctor"]
