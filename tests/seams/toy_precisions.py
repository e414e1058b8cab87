"""Precisions that this project does not ship: one type, once held to a tolerance that it cannot keep, once to none."""

from __future__ import annotations

from sweep.study.precisions import Precision

STRICT = Precision("strict16", "float16", tolerance=1e-7)
LOOSE = Precision("loose16", "float16", tolerance=None)
