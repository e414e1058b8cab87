"""Computes the features of points for a cost model, from their decisions alone, thousands of points at a time.

MetaSchedule's own features are read off the lowered program: 14 ms a candidate for replaying and post-processing it.
The decisions say most of the same in microseconds: how large a tile of each level is, what it reads, whether its
accumulators fit the registers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.search.space import LoopNest, Points, Space

__all__ = ["FeatureTable", "Tiling"]

Floats = NDArray[np.float64]

_RAW_WIDTH = 64
"""Columns for the decisions themselves; what does not fit is left to the derived features."""
_DERIVED_WIDTH = 9
"""Derived features beside the footprints."""
_LEVELS = 5
"""Of a tiling, innermost first, for which footprints are taken."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of many points: for each axis of the nest the factors of its levels, innermost last."""

    spatial: Floats
    """(points, spatial axes, 4)"""
    reduction: Floats
    """(points, reduction axes, 2)"""
    spatial_axes: tuple[int, ...]
    reduction_axes: tuple[int, ...]

    def inner(self, level: int) -> tuple[Floats, Floats]:
        """Extents inside a level of SSRSRS, by (spatial, reduction): 0 the innermost S, 1 with R, 2 RS.S, 3 with the
        outer R, 4 with the second S.
        """
        s, r = self.spatial, self.reduction
        spatial_from = {0: 3, 1: 3, 2: 2, 3: 2, 4: 1}[level]
        reduction_from = {0: 2, 1: 1, 2: 1, 3: 0, 4: 0}[level]
        return s[:, :, spatial_from:].prod(axis=2), r[:, :, reduction_from:].prod(axis=2)


class FeatureTable:
    """Turns points of one space into rows; spaces of one signature give columns of one meaning."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._values = [
            [
                np.log2(np.abs(np.asarray(knob.choices, np.float64)) + 1.0) * np.sign(np.asarray(knob.choices) + 0.5)
                for knob in design.knobs
            ]
            for design in space.designs
        ]
        self._accesses = 0 if space.nest is None else len(space.nest.accesses)
        self._plain = [[np.asarray(knob.choices, np.float64) for knob in design.knobs] for design in space.designs]

    def of(self, design: int, rows: Points) -> Floats:
        """Shape (points, columns): the design, workload, decisions, and derived features where the nest is known."""
        count = len(rows)
        raw = [values[rows[:, column]] for column, values in enumerate(self._values[design])]
        flat = np.concatenate(raw, axis=1) if raw else np.zeros((count, 0))
        padded = np.zeros((count, _RAW_WIDTH))
        padded[:, : min(_RAW_WIDTH, flat.shape[1])] = flat[:, :_RAW_WIDTH]
        head = np.tile([float(design), np.log2(self._space.flops + 1.0)], (count, 1))
        tiling = self.tiling(design, rows)
        if tiling is None:  # a design that tiles the nest in no known way shares its table with those that do
            derived = np.zeros((count, _DERIVED_WIDTH + self._accesses * _LEVELS))
        else:
            derived = self._derived(tiling, self.unroll(design, rows))
        return np.concatenate([head, derived, padded], axis=1)

    def plain(self, design: int, column: int) -> Floats:
        """The values of a knob's choices: shape (choices, numbers of a choice)."""
        return self._plain[design][column]

    def tiling(self, design: int, rows: Points) -> Tiling | None:
        """The tiles of points; None for a design that does not tile every axis of the nest in the usual way."""
        nest = self._space.nest
        if nest is None:
            return None
        by_axis = {
            knob.axis: self._plain[design][column][rows[:, column]]
            for column, knob in enumerate(self._space.designs[design].knobs)
            if knob.axis is not None
        }
        spatial = tuple(number for number, axis in enumerate(nest.axes) if not axis.reduces)
        reduction = tuple(number for number, axis in enumerate(nest.axes) if axis.reduces)
        if not spatial or set(by_axis) != {*spatial, *reduction}:
            return None
        if any(by_axis[axis].shape[1] != 4 for axis in spatial) or any(
            by_axis[axis].shape[1] != 2 for axis in reduction
        ):
            return None
        return Tiling(
            np.stack([by_axis[axis] for axis in spatial], axis=1),
            np.stack([by_axis[axis] for axis in reduction], axis=1) if reduction else np.ones((len(rows), 0, 2)),
            spatial,
            reduction,
        )

    def unroll(self, design: int, rows: Points) -> Floats:
        """The largest number of steps that is unrolled, 0 where the design does not say."""
        for column in reversed(range(rows.shape[1])):
            if self._space.designs[design].knobs[column].kind == "choice":
                return np.asarray(self._plain[design][column][rows[:, column], 0])
        return np.zeros(len(rows))

    def _derived(self, tiling: Tiling, unroll: Floats) -> Floats:
        nest, machine = self._space.nest, self._space.machine
        assert nest is not None
        body = body_of(nest, machine.lanes, tiling)
        columns = [
            np.log2(body.vectors),
            np.log2(body.broadcasts),
            np.log2(body.accumulators),
            body.filled,
            body.is_odd.astype(np.float64),
            np.log2(body.accumulators / machine.registers),
            np.log2(body.steps),
            np.log2(unroll + 1) - np.log2(body.broadcasts + 1),
            np.log2(tiling.spatial[:, :, 0].prod(axis=1)),
        ]
        for level in range(_LEVELS):
            spatial, reduction = tiling.inner(level)
            columns += [np.log2(size) for size in footprints(nest, tiling, spatial, reduction)]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class Body:
    """The innermost tile of many points, each of shape (points,)."""

    along: Floats
    """Extent along the contiguous axis of the output, which is vectorised."""
    vectors: Floats
    """Vector registers for it; LLVM widens a vector to a power of two."""
    broadcasts: Floats
    """Positions along the other axes: each takes a scalar of the input."""
    accumulators: Floats
    filled: Floats
    """The share of the vector lanes that do work."""
    is_odd: NDArray[np.bool_]
    """Whether LLVM takes the vector apart: it is no power of two and no multiple of 8."""
    steps: Floats
    """Reduction steps between two visits of the next level."""


def body_of(nest: LoopNest, lanes: int, tiling: Tiling) -> Body:
    """The innermost tile: vectors along the last dimension of the output, accumulators for all of it."""
    dims = nest.accesses[0].dims
    contiguous = min(dims[-1], key=lambda index: abs(index[1]))[0] if dims and dims[-1] else tiling.spatial_axes[-1]
    column = (
        tiling.spatial_axes.index(contiguous) if contiguous in tiling.spatial_axes else len(tiling.spatial_axes) - 1
    )
    along = tiling.spatial[:, column, 3]
    broadcasts = tiling.spatial[:, :, 3].prod(axis=1) / along
    vectors = np.ceil(2.0 ** np.ceil(np.log2(along)) / lanes)
    return Body(
        along=along,
        vectors=vectors,
        broadcasts=broadcasts,
        accumulators=vectors * broadcasts,
        filled=along / (vectors * lanes),
        is_odd=(np.log2(along) % 1 != 0) & (along % 8 != 0),
        steps=tiling.reduction[:, :, 1].prod(axis=1),
    )


def footprints(nest: LoopNest, tiling: Tiling, spatial: Floats, reduction: Floats) -> list[Floats]:
    """Bytes of each tensor that a tile of the given extents touches."""
    extents = {axis: spatial[:, column] for column, axis in enumerate(tiling.spatial_axes)}
    extents |= {axis: reduction[:, column] for column, axis in enumerate(tiling.reduction_axes)}
    sizes = []
    for access in nest.accesses:
        size = np.full(len(spatial), float(access.element_bytes))
        for dim in access.dims:
            size = size * (1.0 + sum(abs(stride) * (extents[axis] - 1.0) for axis, stride in dim))
        sizes.append(size)
    return sizes
