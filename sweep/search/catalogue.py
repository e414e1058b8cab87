"""Tuners by name: the shipped ones, and a user's own by entry point or `module:attribute`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from sweep.errors import TuneFailed
from sweep.search.droplet import DropletTuner
from sweep.search.genetic import GeneticTuner
from sweep.search.grid_search import GridTuner
from sweep.search.model_guided import MlpTuner, XgbTuner
from sweep.search.random_search import RandomTuner
from sweep.search.tuner import Tuner

__all__ = ["ENTRY_POINTS", "make_tuner"]

ENTRY_POINTS = "sweep.tuners"
"""The entry-point group in which an installed package names tuners."""

_SHIPPED: Mapping[str, Callable[[Mapping[str, Any], int], Tuner]] = {
    "xgb": XgbTuner,
    "mlp": MlpTuner,
    "ga": GeneticTuner,
    "random": RandomTuner,
    "gridsearch": GridTuner,
    "droplet": DropletTuner,
}


def make_tuner(name: str, options: Mapping[str, Any], seed: int) -> Tuner:
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


def _found(name: str) -> Callable[[Mapping[str, Any], int], Tuner]:
    if name in _SHIPPED:
        return _SHIPPED[name]
    module, colon, attribute = name.partition(":")
    if colon:
        made: Callable[[Mapping[str, Any], int], Tuner] = getattr(importlib.import_module(module), attribute)
        return made
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        loaded: Callable[[Mapping[str, Any], int], Tuner] = entry.load()
        return loaded
    raise TuneFailed(
        f"no tuner {name!r}; there are {', '.join(sorted(_SHIPPED))}, entry points of {ENTRY_POINTS} and module:attribute"
    )
