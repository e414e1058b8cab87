"""Which of several cases are tried by default: the others are slow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest

__all__ = ["only"]


def only(kept: Collection[Any], cases: Iterable[Any] | Mapping[str, Any]) -> list[Any]:
    """Cases for `parametrize`, of which all but those kept are marked slow: values, or tuples by their ids.

    Raises ValueError for one kept that is no case.
    """
    named = dict(cases) if isinstance(cases, Mapping) else {case: case for case in cases}
    if unknown := set(kept) - set(named):
        raise ValueError(f"no such case: {unknown}")
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=str(name),
            marks=() if name in kept else pytest.mark.slow,
        )
        for name, case in named.items()
    ]
