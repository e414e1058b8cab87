"""Reads the conditions of a measurement, which are in a board's own words: a key may be missing, or be anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["number_in"]


def number_in(conditions: Mapping[str, Any], key: str) -> float | None:
    """The finite number of this key; None where there is none."""
    value = conditions.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
