"""Tuners by name: the shipped ones, and a user's own by entry point or `module:attribute`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.errors import TuneFailed
from sweep.search.droplet import DropletStrategy
from sweep.search.genetic import GeneticStrategy
from sweep.search.grid_search import GridStrategy
from sweep.search.model_guided import MlpStrategy, XgbStrategy
from sweep.search.random_search import RandomStrategy
from sweep.search.strategy import SearchStrategy
from sweep.study.own_tuner import ENTRY_POINTS, load, place_of

__all__ = ["SHIPPED", "make_tuner"]

SHIPPED: Mapping[str, Callable[[Mapping[str, Any], int], SearchStrategy]] = {
    "xgb": XgbStrategy,
    "mlp": MlpStrategy,
    "ga": GeneticStrategy,
    "random": RandomStrategy,
    "gridsearch": GridStrategy,
    "droplet": DropletStrategy,
}


def make_tuner(name: str, options: Mapping[str, Any], seed: int) -> SearchStrategy:
    """The tuner of a name, with its options.

    Raises:
        TuneFailed: there is none of this name, it cannot be imported, or it refuses its options.
    """
    try:
        return _found(name)(options, seed)
    except TuneFailed:
        raise
    except Exception as error:
        raise TuneFailed(f"tuner {name!r} cannot be made: {type(error).__name__}: {error}") from error


def _found(name: str) -> Callable[[Mapping[str, Any], int], SearchStrategy]:
    if name in SHIPPED:
        return SHIPPED[name]
    place = place_of(name)
    if place is None:
        names = ", ".join(sorted(SHIPPED))
        raise TuneFailed(f"no tuner {name!r}; there are {names}, entry points of {ENTRY_POINTS} and module:attribute")
    return load(place)
