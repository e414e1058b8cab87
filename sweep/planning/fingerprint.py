"""Content ids: a hash of canonical JSON, which is the same text for the same content, or an error.

Refused is what would come out differently another time, or as something else: NaN and infinities, -0.0, keys that are
not text, sets, bytes, and anything that JSON has no word for.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping

from sweep.errors import PlanError

__all__ = ["DIGITS", "canonical_json", "fingerprint", "hashed"]

DIGITS = 16
"""64 bits: among a million stages the chance that any two meet by accident is below 1 in 10^7."""


def canonical_json(value: object) -> str:
    """One text for one content: keys sorted, no spaces, tuples as lists. Raises PlanError for what has no such text."""
    if value is None or value is True or value is False:
        return "null" if value is None else "true" if value is True else "false"
    if type(value) is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise PlanError(f"cannot be hashed: text that is not Unicode, {value!r}") from None
        return json.dumps(value, ensure_ascii=True)
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return _float(value)
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise PlanError(f"cannot be hashed: a key that is not text, {key!r}")
        return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    raise PlanError(f"cannot be hashed: {type(value).__name__}, {value!r}")


def fingerprint(value: object) -> str:
    """16 hex digits of a content. Raises PlanError."""
    return hashed(canonical_json(value))


def hashed(text: str) -> str:
    """16 hex digits of a text that is canonical already."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise PlanError(f"cannot be hashed: {value!r}")
    if value == 0 and math.copysign(1, value) < 0:
        raise PlanError("cannot be hashed: -0.0, which equals 0.0 and is not the same")
    # 2.0 is written as 2 by one person and as 2.0 by another
    return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
