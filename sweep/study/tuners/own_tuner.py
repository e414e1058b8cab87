"""Tuners by name, in the one registry: shipped ones, and a person's own by an entry point or as `module:attribute`.

A tuner is called with (options, seed) and gives a search strategy; `sweep.search.strategy` says what that is. The
content of the file of a person's own tuner is its identity.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from sweep.registry import Registry

__all__ = [
    "ENTRY_POINTS",
    "SHIPPED",
    "TUNERS",
    "attribute_of",
    "import_path_of",
    "installed_names",
    "label_of",
    "load",
    "module_of",
    "source_sha256",
]

ENTRY_POINTS = "sweep.tuners"
"""The entry-point group in which an installed package names tuners."""

SHIPPED = {
    "xgb": "sweep.search.model_guided:XgbStrategy",
    "mlp": "sweep.search.model_guided:MlpStrategy",
    "ga": "sweep.search.genetic:GeneticStrategy",
    "random": "sweep.search.random_search:RandomStrategy",
    "gridsearch": "sweep.search.grid_search:GridStrategy",
    "droplet": "sweep.search.droplet:DropletStrategy",
    "optuna": "sweep.search.optuna_search:OptunaStrategy",
}
"""Name -> where it stands; `sweep.study.tuners.tuner_forms` has their options."""

TUNERS: Registry[Callable[..., Any]] = Registry("tuner", ENTRY_POINTS, SHIPPED)


def installed_names() -> list[str]:
    """Names that others than this package give tuners. Reads the metadata of every installed package: some 20 ms."""
    return sorted(name for name in TUNERS.names() if name not in SHIPPED)


def import_path_of(name: str) -> str | None:
    """`module:attribute` of a name, which may be that already; None for a name that nobody gave."""
    return name if ":" in name else TUNERS.import_path(name)


def load(name: str) -> Callable[..., Any]:
    """The tuner of a name or of an import path.

    Raises what importing it raises, and StudyError for a name that nobody gave.
    """
    if ":" not in name:
        return TUNERS.get(name)
    found: Callable[..., Any] = attribute_of(module_of(name), name)
    return found


def module_of(import_path: str) -> ModuleType:
    """The module, imported. Raises whatever importing it raises."""
    return importlib.import_module(import_path.partition(":")[0])


def attribute_of(module: ModuleType, import_path: str) -> Any:
    """The attribute of the module. Raises AttributeError."""
    return reduce(getattr, import_path.partition(":")[2].split("."), module)


def source_sha256(import_path: str) -> str | None:
    """Of the file of a module that has been imported; None where it has none. What it imports does not count."""
    spec = importlib.util.find_spec(import_path.partition(":")[0])
    if spec is None or not spec.has_location or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def label_of(name: str) -> str:
    """A value for the tuner axis: the attribute in small letters, or the entry point's name."""
    last = name.rpartition(":")[2].rpartition(".")[2] if ":" in name else name
    return re.sub(r"[^a-z0-9._+=-]+", "-", last.lower()).strip("-._+=")[:80] or "own"
