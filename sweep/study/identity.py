"""What an id is made of, so that it stays the same when this program learns a further word.

An id is a hash of options by name. If each new option were hashed at once, all ids of before would change with it, and
everything would be measured again. So the options of the first version are always hashed, and a later one only where it
says something else than what was done before there was such an option: its default.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

__all__ = ["identifying"]


def identifying(values: Mapping[str, Any], first: Container[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that an id is made of, in their order.

    first: names that were hashed from the first version on, at whatever value. defaults: of all others.
    """
    return {name: value for name, value in values.items() if name in first or value != defaults[name]}
