"""A person's own tuner: a name that leads to a module and an attribute, and the file whose content is its identity.

The attribute is called with (options, seed) and gives a tuner; `sweep.search.strategy` says what that is.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable
from functools import reduce
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = [
    "ENTRY_POINTS",
    "attribute_of",
    "installed_names",
    "label_of",
    "load",
    "module_of",
    "place_of",
    "source_sha256",
]

ENTRY_POINTS = "sweep.tuners"
"""The entry-point group in which an installed package names tuners."""


def installed_names() -> list[str]:
    """Names that installed packages give tuners. Reads the metadata of every installed package: some 20 ms."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def place_of(name: str) -> str | None:
    """`module:attribute` of a name, which may be that already; None for a name that nobody gave."""
    if ":" in name:
        return name
    return next((entry.value.split()[0] for entry in entry_points(group=ENTRY_POINTS, name=name)), None)


def load(place: str) -> Callable[..., Any]:
    """What stands at `module:attribute`. Raises whatever importing it raises."""
    found: Callable[..., Any] = attribute_of(module_of(place), place)
    return found


def module_of(place: str) -> ModuleType:
    """The module, imported. Raises whatever importing it raises."""
    return importlib.import_module(place.partition(":")[0])


def attribute_of(module: ModuleType, place: str) -> Any:
    """The attribute of the module. Raises AttributeError."""
    return reduce(getattr, place.partition(":")[2].split("."), module)


def source_sha256(place: str) -> str | None:
    """Of the file of a module that has been imported; None where it has none. What it imports does not count."""
    spec = importlib.util.find_spec(place.partition(":")[0])
    if spec is None or not spec.has_location or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def label_of(name: str) -> str:
    """A value for the tuner axis: the attribute in small letters, or the entry point's name."""
    last = name.rpartition(":")[2].rpartition(".")[2] if ":" in name else name
    return re.sub(r"[^a-z0-9._+=-]+", "-", last.lower()).strip("-._+=")[:80] or "own"
