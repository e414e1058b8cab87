"""Describes the effect of a chain of transpositions and reshapes on a tensor. Knows no TVM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

__all__ = ["View"]


@dataclass
class View:
    """The effect of a chain: which parts of its source's axes make up each axis of its result."""

    source: list[int]
    """Sizes of the parts, in the order of the source; a part is known by its position here, 1s are left out."""
    axes: list[list[int]] = field(default_factory=list)
    """Of each axis of the result the parts it is made of."""

    @classmethod
    def of(cls, shape: Sequence[int]) -> View:
        """A tensor as it is."""
        positions = [position for position, size in enumerate(shape) if size != 1]
        axes = [[positions.index(position)] if size != 1 else [] for position, size in enumerate(shape)]
        return cls([shape[position] for position in positions], axes)

    def permuted(self, order: Sequence[int]) -> View:
        """With its axes in another order."""
        return View(list(self.source), [list(self.axes[axis]) for axis in order])

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """In another shape of as many elements, at least one; None if that takes a part across the edge of an axis."""
        view = View(list(self.source), [list(axis) for axis in self.axes])
        axes: list[list[int]] = []
        for size in shape:
            axis: list[int] = []
            left = size
            while left != 1:
                taken = [part for done in (*axes, axis) for part in done]
                part = next(p for parts in view.axes for p in parts if p not in taken)
                if left % view.source[part]:
                    if view.source[part] % left:
                        return None
                    view._split(part, left, [*axes, axis])
                axis.append(part)
                left //= view.source[part]
            axes.append(axis)
        return View(view.source, axes)

    def _split(self, part: int, outer: int, also: Sequence[list[int]]) -> None:
        """Into `outer` and the rest, which follows it."""
        self.source[part : part + 1] = [outer, self.source[part] // outer]
        for parts in (*self.axes, *also):
            parts[:] = [p for old in parts for p in ((old, old + 1) if old == part else (old + (old > part),))]

    def order(self) -> tuple[list[int], list[int]]:
        """(sizes of the parts in the source's order, their order in the result); what stays together is one part."""
        order = [part for axis in self.axes for part in axis]
        runs: list[list[int]] = []
        for part in order:
            if runs and runs[-1][-1] + 1 == part:
                runs[-1].append(part)
            else:
                runs.append([part])
        firsts = sorted(run[0] for run in runs)
        sizes = {run[0]: prod(self.source[part] for part in run) for run in runs}
        return [sizes[first] for first in firsts], [firsts.index(run[0]) for run in runs]
