"""Tells which code a study names: importing it runs it, and a study may have come from anywhere."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

__all__ = ["tell", "tell_model"]

_told: set[tuple[str, str]] = set()


def tell(import_path: str, file: Path | None) -> None:
    """Warn, once in a process, that `module:attribute` is going to be imported, and from which file; of a module of
    this package nothing. Raises nothing: what cannot be found is said by who imports it.
    """
    module = import_path.partition(":")[0]
    top = module.partition(".")[0]
    if top == __name__.partition(".")[0] or (str(file), import_path) in _told:
        return
    _told.add((str(file), import_path))
    logging.getLogger(__name__).warning("%s loads %s from %s", file or "the study", import_path, _place_of(module, top))


def tell_model(source: str, path: Path, file: Path | None) -> None:
    """Warn, once in a process, that a model's import runs code that is in its file, or that the file is of."""
    if (str(file), source) in _told:
        return
    _told.add((str(file), source))
    logging.getLogger(__name__).warning("%s loads %s, which may run code, from %s", file or "the study", source, path)


def _place_of(module: str, top: str) -> str:
    loaded = sys.modules.get(module)
    if loaded is not None:
        return str(getattr(loaded, "__file__", None) or "this process")
    try:
        spec = importlib.util.find_spec(top)  # of a module in a package alone: to look further would import that
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return "nowhere"
    return str(spec.origin or next(iter(spec.submodule_search_locations or ()), "the interpreter"))
