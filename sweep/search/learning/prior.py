"""Estimates the cost of a tiled loop nest on a CPU before anything was measured.

A model of the innermost tile (vector operations, loads that feed them, latency, accumulators that do not fit the
registers) and of what the loops around it move between the caches. It ranks points well enough that the first ones
measured are good; what it gets wrong a cost model learns from the measurements. The figures are those of common x86-64
and AArch64 cores: two vector multiply-adds and two loads a cycle, a latency of four cycles, and for what comes from the
second and the third cache half of their usual bandwidth, beside which nothing is computed.
"""

from __future__ import annotations

import math

import numpy as np

from sweep.search.learning.features import FeatureTable, Floats, Tiling, body_of
from sweep.search.learning.traffic import traffic
from sweep.search.space import Points, Space

__all__ = ["prior_cycles"]

_LATENCY = 4.0
_SPARE = 3  # registers for what is loaded
_SPILL = 1.5  # cycles a step for each accumulator that lives in memory
_ROLLED = 0.5  # the same for accumulators that a loop indexes: LLVM unrolls some of these loops by itself
_ODD_LANES = 6.0  # a vector of 25 lanes is taken apart into scalars
_SEPARATE = 2.0  # cycles for each vector of the output that a second loop nest reads and writes again
_INLINED = 1.5  # a producer computed anew at each use, mostly padding with its condition
_DEEP = 1.25  # a producer inside the loops that use it many times
_OUTER_LOOPS = 8
_INTO_L1, _INTO_L2 = 24.0, 8.0  # bytes a cycle


def prior_cycles(space: Space, table: FeatureTable, design: int, rows: Points) -> Floats | None:
    """Cycles for each point, shape (points,), comparable within a space; None where the nest is not known."""
    tiling = table.tiling(design, rows)
    if tiling is None or space.nest is None:
        return None
    nest, machine = space.nest, space.machine
    body = body_of(nest, machine.lanes, tiling)
    unroll = table.unroll(design, rows)
    room = machine.registers - _SPARE
    spilled = np.maximum(body.accumulators - room, 0.0) * _SPILL
    spilled = np.where(
        body.broadcasts <= np.maximum(unroll, 1.0), spilled, np.maximum(spilled, body.accumulators * _ROLLED)
    )
    step = np.maximum.reduce(
        [body.accumulators / 2, (body.vectors + body.broadcasts) / 2, np.full(len(rows), _LATENCY)]
    )
    stays = tiling.spatial[:, :, 2].prod(axis=1) == 1  # accumulators survive the outer reduction too
    kept_steps = np.where(stays, body.steps * tiling.reduction[:, :, 0].prod(axis=1), body.steps)
    step = (step + spilled + body.accumulators * 2.0 / kept_steps) * np.where(body.is_odd, _ODD_LANES, 1.0)
    steps = nest.calls / (body.along * body.broadcasts)
    threads = np.minimum(machine.threads, tiling.spatial[:, :, 0].prod(axis=1))
    cycles = (steps * step + _transfers(space, tiling)) * _location_penalty(space, table, design, rows)
    if not space.designs[design].is_fused:
        outputs = math.prod(axis.extent for axis in nest.axes if not axis.reduces)
        cycles = cycles + _SEPARATE * outputs / machine.lanes
    return np.asarray(cycles / threads)


def _location_penalty(space: Space, table: FeatureTable, design: int, rows: Points) -> Floats:
    penalty = np.ones(len(rows))
    for column, knob in enumerate(space.designs[design].knobs):
        if knob.kind == "location":
            location = table.plain(design, column)[rows[:, column], 0]
            penalty = penalty * np.where(location == -2, _INLINED, np.where(location >= _OUTER_LOOPS, _DEEP, 1.0))
    return penalty


def _transfers(space: Space, tiling: Tiling) -> Floats:
    """Cycles."""
    assert space.nest is not None
    into_l1, into_l2 = traffic(space.nest, tiling, (space.machine.l1_bytes, space.machine.l2_bytes))
    return np.asarray(into_l1 / _INTO_L1 + into_l2 / _INTO_L2)
