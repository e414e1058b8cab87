"""Drafts of one kind of stage, each made once for all cells of which it reads the same.

A drafting function is given a cell that notes what is read of it. Another cell with the same values there would lead
the function the same way, so it shares the draft; only the ids of the inputs are its own. A million cells have some
thousand drafts of a kind, and making one takes twenty times as long as looking it up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from sweep.errors import PlanError
from sweep.planning.draft import Draft, Drafting
from sweep.planning.fingerprint import canonical_json
from sweep.planning.stage_id import id_tail
from sweep.planning.stage_kind import StageKind
from sweep.planning.versions import versions_of
from sweep.study.cell_values import values_on
from sweep.study.spec import Cell

__all__ = ["DraftMemo", "SharedDraft"]

_FIELDS = frozenset(one.name for one in fields(Cell))
_MARK = "~id of~"
"""Begins what stands for the id of an input while a draft is made."""


class _WatchedCell(Cell):
    """A cell that notes which of its fields are read, in the order of the first reading."""

    __slots__ = ("read",)
    read: dict[str, None]

    @classmethod
    def like(cls, cell: Cell) -> _WatchedCell:
        """A cell of the same values."""
        watched = object.__new__(cls)
        for name in _FIELDS:
            object.__setattr__(watched, name, getattr(cell, name))
        object.__setattr__(watched, "read", {})
        return watched

    def __getattribute__(self, name: str) -> Any:
        if name in _FIELDS:
            with suppress(AttributeError):  # a copy with other values notes nothing; to copy it reads all of this one
                object.__getattribute__(self, "read")[name] = None
        return object.__getattribute__(self, name)


@dataclass(slots=True)
class SharedDraft:
    """What stages of one kind have in common that differ by their inputs alone."""

    draft: Draft
    needs: tuple[str, ...]
    """The kinds of its inputs, in the order in which they are hashed."""
    tail: bytes
    """What is hashed behind the ids of its inputs."""
    versions: Mapping[str, str | int]
    number: int
    """The same for drafts of the same content."""
    ids: dict[tuple[str, ...], str] | None
    """By the ids of the inputs; None where that was not worth its memory."""


class DraftMemo:
    """The drafts of one kind."""

    def __init__(self, kind: StageKind, draft: Callable[..., Draft | None], drafting: Drafting) -> None:
        self.kind, self.make, self._drafting = kind, draft, drafting
        self.is_shared = True
        """Whether cells share drafts: not where a draft takes more from other stages than their ids as its inputs."""
        self.tables: dict[int, list[tuple[Callable[[Cell], Hashable], dict[Hashable, SharedDraft | None]]]] = {}
        """By the stages that a cell has so far: readers of some values of a cell, and what is known by them."""
        self._by_reads: dict[tuple[int, tuple[str, ...]], dict[Hashable, SharedDraft | None]] = {}
        self._numbers: dict[Hashable, int] = {}
        self._has_ids = True
        self._drafted = 0
        self.hits = self.misses = 0

    def learn(self, cell: Cell, taken: int, made: Sequence[str]) -> SharedDraft | None:
        """Draft for the first of the cells that share a draft.

        taken: stands for the kinds of stages that the cell has so far. made: these kinds.
        """
        shared, found = self.draft(cell, made)
        if self.is_shared:
            reads = tuple(sorted(found))
            read = values_on(reads) if "more" not in reads else _with_more(reads)
            known = self._by_reads.get((taken, reads))
            if known is None:
                known = self._by_reads[taken, reads] = {}
                self.tables.setdefault(taken, []).append((read, known))
            known[read(cell)] = shared
        return shared

    def draft(self, cell: Cell, made: Sequence[str]) -> tuple[SharedDraft | None, frozenset[str]]:
        """What a cell drafts that has these kinds of stages so far, and which fields of the cell decide it.

        `is_shared` tells whether it holds for other cells of the same values.
        """
        watched = _WatchedCell.like(cell)
        self._drafted += 1  # so that nothing that was kept for the inputs of other cells is taken for this one
        draft = self.make(self._drafting, watched, {kind: f"{_MARK}{kind}~{self._drafted}" for kind in made})
        shared = None if draft is None else self._share(draft)
        return shared, frozenset(watched.read)

    def _share(self, draft: Draft) -> SharedDraft | None:
        told = (draft.options.text, repr(draft.hints), draft.label if isinstance(draft.label, str) else "")
        if not all(each.startswith(_MARK) for each in draft.inputs.values()) or any(_MARK in each for each in told):
            self.is_shared = False
            return None
        needs = tuple(each.removeprefix(_MARK).rpartition("~")[0] for each in draft.inputs.values())
        for role, found in zip(draft.inputs, needs, strict=True):
            check_input(self.kind, role, found, draft)
        versions = versions_of(self.kind, draft.distributions, draft.source)
        tail = id_tail(self.kind.name, draft.options.text, canonical_json(versions))
        number = self._numbers.setdefault((tail, needs), len(self._numbers))
        return SharedDraft(draft, needs, tail, versions, number, {} if self._has_ids else None)

    def missed(self) -> None:
        """An id was not known. Where most are not, they are not kept any more."""
        self.misses += 1
        if self._has_ids and self.misses > 2_000 and self.hits < self.misses:
            self._has_ids = False
            for tables in self.tables.values():
                for _, known in tables:
                    for shared in known.values():
                        if shared is not None:
                            shared.ids = None


def check_input(kind: StageKind, role: str, found: str, draft: Draft) -> None:
    """Raises PlanError for an input that the kind has no role for, or that is of another kind than its role's."""
    if kind.inputs.get(role) != found:
        wanted = kind.inputs.get(role)
        problem = f"takes a {wanted}" if wanted else f"is not among {', '.join(kind.inputs) or 'no roles'}"
        label = draft.label if isinstance(draft.label, str) else f"a {kind.name} stage"
        raise PlanError(f"{label}: the input {role} {problem}, and is given a {found}")


def _with_more(reads: Sequence[str]) -> Callable[[Cell], Hashable]:
    return lambda cell: tuple([getattr(cell, name) for name in reads])
