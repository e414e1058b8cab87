"""From the name of a tuner to its search strategy: a shipped one, an installed package's, or `module:attribute`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.errors import TuneFailed
from sweep.search.strategy import SearchStrategy
from sweep.study.tuners.own_tuner import ENTRY_POINTS, SHIPPED, import_path_of, load

__all__ = ["make_tuner"]


def make_tuner(name: str, options: Mapping[str, Any], seed: int) -> SearchStrategy:
    """The tuner of a name, with its options.

    Raises:
        TuneFailed: there is none of this name, it cannot be imported, or it refuses its options.
    """
    import_path = import_path_of(name)
    if import_path is None:
        names = ", ".join(sorted(SHIPPED))
        raise TuneFailed(f"no tuner {name!r}; there are {names}, entry points of {ENTRY_POINTS} and module:attribute")
    try:
        make: Callable[[Mapping[str, Any], int], SearchStrategy] = load(name)
        return make(options, seed)
    except TuneFailed:
        raise
    except Exception as error:
        raise TuneFailed(f"tuner {name!r} cannot be made: {type(error).__name__}: {error}") from error
