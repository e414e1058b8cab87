"""The one registry for what others may add: runtimes, importers, tuners, stage kinds, axes.

A registry maps names to objects. The shipped ones are named by `module:attribute` and imported on first use, so that
listing names costs nothing; installed packages add theirs by an entry-point group; a program adds its own by
`register`. Knows nothing of what it holds.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, reduce
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, cast

from sweep.errors import StudyError
from sweep.suggestions import hint, listed

__all__ = ["Registry", "attribute_at", "state_of_all"]

T = TypeVar("T")


def attribute_at(import_path: str) -> object:
    """What stands at `module:attribute`. Raises whatever importing it raises, and AttributeError."""
    module, _, path = import_path.partition(":")
    found: object = importlib.import_module(module)
    return reduce(getattr, path.split("."), found)


def _installed(group: str) -> Mapping[str, str]:
    """Import path of each entry point of a group."""
    return _entry_points_on(tuple(sys.path)).get(group, {})


@lru_cache(maxsize=8)
def _entry_points_on(search_path: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
    """Those of all groups. To read the metadata of every package takes 20 ms, and a plan asks a dozen times."""
    points = entry_points()
    found: dict[str, dict[str, str]] = {}
    for group in points.groups:
        for entry in points.select(group=group):
            if group.startswith("sweep.") and _is_brought(entry):
                continue
            found.setdefault(group, {}).setdefault(entry.name, entry.value.split()[0])
    return found


def _is_brought(entry: EntryPoint) -> bool:
    """Whether it is of a package that lies in the working folder, which is on the import path for the way in which the
    program was started, and not by a person's PYTHONPATH: the folder may have come from elsewhere.
    """
    here = Path.cwd()
    if entry.dist is None or Path(str(entry.dist.locate_file(""))).resolve() != here.resolve():
        return False
    asked = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return not any(path and Path(path).resolve() == here.resolve() for path in asked)


def state_of_all() -> tuple[object, ...]:
    """Another one after each change of any registry, or of the import path: for what is derived from names and kept."""
    return Registry._changes, *sys.path


class Registry(Generic[T]):
    """Objects of one kind by name."""

    _changes: ClassVar[int] = 0
    """Of all registries."""

    def __init__(self, what: str, group: str, shipped: Mapping[str, T | str]) -> None:
        """what: one of them in words, for errors: `runtime`. group: entry points, such as `sweep.runtimes`.

        shipped: objects, or their import paths, written `module:attribute`, in the order in which they are listed.
        """
        self._what, self._group = what, group
        self._shipped: dict[str, T | str] = dict(shipped)
        self._added: dict[str, T] = {}
        self._loaded: dict[str, T] = {}
        self._all: tuple[int, tuple[T, ...]] | None = None
        self._left_out: set[str] = set()
        self.version = 0
        """Another one after each change: for what is derived from all of them and kept."""

    def names(self) -> tuple[str, ...]:
        """All names: shipped ones first, then those that a program registered, then installed packages', sorted."""
        return tuple(dict.fromkeys([*self._shipped, *self._added, *sorted(_installed(self._group))]))

    def __contains__(self, name: object) -> bool:
        return (
            name in self._shipped
            or name in self._added
            or (isinstance(name, str) and self.import_path(name) is not None)
        )

    def __iter__(self) -> Iterator[T]:
        return (thing for _, thing in self.items())

    def items(self) -> Iterator[tuple[str, T]]:
        """Every name with its object, in the order of `names`, each imported when its turn comes.

        What an installed package names and cannot be imported is left out with a warning: it stands in the way of
        nobody who does not ask for it. Raises StudyError where a shipped one cannot be imported.
        """
        for name in self.names():
            try:
                thing = self.get(name)
            except StudyError as error:
                if name in self._shipped:
                    raise
                if name not in self._left_out:
                    self._left_out.add(name)
                    warnings.warn(f"{self._group}: {name!r} {error.problem}; it is left out", stacklevel=2)
                continue
            yield name, thing

    def all(self) -> tuple[T, ...]:
        """What iterating gives. Kept until one is registered: installed packages' names cost 10 ms."""
        if self._all is None or self._all[0] != self.version:
            self._all = self.version, tuple(self)
        return self._all[1]

    def get(self, name: str, key: str = "") -> T:
        """The object of a name; imported now where nobody has asked for it before.

        Raises:
            StudyError: there is none of this name, or it cannot be imported; `key` is its place in a
                person's file.
        """
        if name in self._added:
            return self._added[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name, key)
        return self._loaded[name]

    def register(self, name: str, thing: T) -> None:
        """Add one for this process. Raises ValueError where the name is taken: nothing is replaced in silence."""
        if name in self._shipped or name in self._added:
            raise ValueError(f"there is a {self._what} {name!r} already")
        self._added[name] = thing
        self._note_change()

    def look_again(self) -> None:
        """Forget what installed packages had: one has come or gone since, as in a notebook that installs it."""
        _entry_points_on.cache_clear()
        self._loaded.clear()
        self._left_out.clear()
        self._note_change()

    @contextmanager
    def registered(self, name: str, thing: T) -> Iterator[None]:
        """Add one for as long as the context lasts."""
        self.register(name, thing)
        try:
            yield
        finally:
            del self._added[name]
            self._note_change()

    def _note_change(self) -> None:
        self.version += 1
        Registry._changes += 1

    def _load(self, name: str, key: str) -> T:
        shipped = self._shipped.get(name)
        if shipped is not None and not isinstance(shipped, str):
            return shipped
        import_path = self.import_path(name)
        if import_path is None:
            names = self.names()
            problem = f"is no {self._what}{hint(name, names)}"
            raise StudyError(problem, key=key or None, value=name, allowed=listed(names))
        try:
            return cast("T", attribute_at(import_path))
        except Exception as error:
            article = "an" if self._what[0] in "aeiou" else "a"
            problem = f"is {article} {self._what} that cannot be loaded: {type(error).__name__}: {error}"
            raise StudyError(
                problem, key=key or None, value=name, allowed=f"a package in which {import_path} is"
            ) from error

    def import_path(self, name: str) -> str | None:
        """`module:attribute` of a name, which is not imported; None where there is none, or an object without one."""
        thing = self._added.get(name) or self._shipped.get(name)
        if isinstance(thing, str):
            return thing
        if thing is not None:
            module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
            return f"{module}:{path}" if module and path else None
        return _installed(self._group).get(name)
