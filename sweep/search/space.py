"""The space that a tuner searches, as plain numbers: what TVM's design spaces leave to be decided.

A workload has a few *designs* (structures of loops), each with *knobs* (tile sizes, how far to unroll, where to compute
a block). A *point* is a design and one choice a knob. Nothing here knows how a point becomes a schedule.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Access", "Axis", "CpuModel", "Design", "Knob", "LoopNest", "Point", "Points", "Space", "as_points"]

Point = tuple[int, ...]
"""The index of a design, then for each of its knobs the index of a choice."""

Points = NDArray[np.int32]
"""Points of one design without its index: shape (points, knobs)."""

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Knob:
    """One decision of a design: its name and its choices."""

    kind: str
    """tile, choice or location."""
    choices: tuple[tuple[int, ...], ...]
    """In an order in which neighbours are alike: the factors of a tile, outermost first; otherwise one number each."""
    axis: int | None = None
    """Of the nest, for a tile of one of its axes."""


@dataclass(frozen=True, slots=True)
class Design:
    """One structure of loops with its knobs."""

    knobs: tuple[Knob, ...]
    is_fused: bool = True
    """False when what follows the nest (bias, activation) is a loop nest of its own."""

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(len(knob.choices) for knob in self.knobs)


@dataclass(frozen=True, slots=True)
class Axis:
    """One loop of the nest: its extent, and whether it is a reduction."""

    extent: int
    reduces: bool


@dataclass(frozen=True, slots=True)
class Access:
    """A tensor that the nest reads or writes: for each of its dimensions (axis, stride) of the axes in its index."""

    dims: tuple[tuple[tuple[int, int], ...], ...]
    element_bytes: int
    is_packed: bool = False
    """Its layout follows the schedule (a constant weight), so that it is read in the order of the loops."""


@dataclass(frozen=True, slots=True)
class LoopNest:
    """The block that does the work: its loops and tensors. The first access is the one written."""

    axes: tuple[Axis, ...]
    accesses: tuple[Access, ...]

    @property
    def calls(self) -> int:
        """How often its innermost statement runs."""
        return math.prod(axis.extent for axis in self.axes)


@dataclass(frozen=True, slots=True)
class CpuModel:
    """The properties of a CPU that a schedule must fit: vectors, registers, caches, threads."""

    lanes: int = 8
    """Of a vector register, in 32-bit numbers."""
    registers: int = 16
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024
    threads: int = 1


@dataclass(frozen=True)
class Space:
    """All points of one workload on one machine."""

    designs: tuple[Design, ...]
    nest: LoopNest | None = None
    machine: CpuModel = CpuModel()
    flops: float = 0.0

    @property
    def size(self) -> int:
        """Number of points, some of which may be the same schedule or none."""
        return sum(design.size for design in self.designs)

    @cached_property
    def signature(self) -> str:
        """Equal for spaces whose points mean the same decisions, whatever the extents: they share a cost model."""
        shape = [[(knob.kind, knob.axis, len(knob.choices[0])) for knob in design.knobs] for design in self.designs]
        nest = None
        if self.nest is not None:
            nest = (
                [axis.reduces for axis in self.nest.axes],
                [
                    ([[axis for axis, _ in dim] for dim in access.dims], access.is_packed)
                    for access in self.nest.accesses
                ],
            )
        return hashlib.sha256(repr((shape, nest)).encode()).hexdigest()[:12]

    def sample(self, count: int, rng: np.random.Generator) -> Iterator[tuple[int, Points]]:
        """`count` random points, by design: (index of the design, points)."""
        if not self.designs:
            return
        designs = rng.integers(len(self.designs), size=count)
        for index, design in enumerate(self.designs):
            amount = int((designs == index).sum())
            if amount:
                yield index, self._random(design, amount, rng)

    def mutate(self, design: int, rows: Points, rng: np.random.Generator) -> Points:
        """A neighbour of each point: one knob in three is decided anew, half of those by a small step; at least one."""
        knobs = self.designs[design].knobs
        sizes = np.asarray([len(knob.choices) for knob in knobs], np.int32)
        free = np.flatnonzero(sizes > 1)
        made = rows.copy()
        if not len(free):
            return made
        changes = rng.random((len(rows), len(free))) < 1 / 3
        changes[np.arange(len(rows)), rng.integers(len(free), size=len(rows))] = True
        steps = rng.choice(np.asarray((-2, -1, 1, 2), np.int32), size=changes.shape)
        jumps = rng.integers(0, sizes[free], size=changes.shape, dtype=np.int32)
        moved = np.where(rng.random(changes.shape) < 0.5, np.clip(made[:, free] + steps, 0, sizes[free] - 1), jumps)
        made[:, free] = np.where(changes, moved, made[:, free])
        return made

    @staticmethod
    def cross(rows: Points, others: Points, rng: np.random.Generator) -> Points:
        """Children of two parents of one design: each knob from either."""
        return np.where(rng.random(rows.shape) < 0.5, rows, others)

    def neighbours(self, point: Point, step: int = 1) -> Iterator[Point]:
        """The points `step` choices away, knob by knob."""
        for column, knob in enumerate(self.designs[point[0]].knobs, start=1):
            for choice in (point[column] - step, point[column] + step):
                if 0 <= choice < len(knob.choices):
                    yield (*point[:column], choice, *point[column + 1 :])

    @staticmethod
    def _random(design: Design, amount: int, rng: np.random.Generator) -> Points:
        columns = [rng.integers(len(knob.choices), size=amount) for knob in design.knobs]
        return np.stack(columns, axis=1).astype(np.int32) if columns else np.zeros((amount, 0), np.int32)

    def point_at(self, index: int) -> Point:
        """The point of a running number in [0, size)."""
        for number, design in enumerate(self.designs):
            if index < design.size:
                choices = []
                for knob in reversed(design.knobs):
                    index, choice = divmod(index, len(knob.choices))
                    choices.append(choice)
                return (number, *reversed(choices))
            index -= design.size
        raise IndexError(index)

    def random_index(self, rng: np.random.Generator) -> int:
        """A running number, drawn evenly; spaces may have more points than 64 bits can number."""
        return int.from_bytes(rng.bytes(32), "big") % max(1, self.size)

    def walk(self, start: int) -> Iterator[Point]:
        """Every point once, the first few far apart.

        The stride is near the golden section of their number, and prime to it. Counting upwards would try every unroll
        limit for one tiling before the second tiling.
        """
        stride = max(1, round(self.size * _GOLDEN))
        while math.gcd(stride, self.size) != 1:
            stride += 1
        for step in range(self.size):
            yield self.point_at((start + step * stride) % self.size)


def as_points(design: int, rows: Points | Sequence[Sequence[int]]) -> list[Point]:
    """Rows of one design as points."""
    return [(design, *map(int, row)) for row in rows]
