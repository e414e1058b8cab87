"""Reads the knobs of a trace from its sampling instructions, and a point's choices into its decisions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sweep.search.space import Knob

__all__ = ["CHOICE", "KINDS", "LOCATION", "TILE", "choice_of", "decision_of", "tilings"]

TILE, CHOICE, LOCATION = "SamplePerfectTile", "SampleCategorical", "SampleComputeLocation"
KINDS = {TILE: "tile", CHOICE: "choice", LOCATION: "location"}
"""Of knobs, by the kind of the instruction."""


def decision_of(knob: Knob, choice: int) -> Any:
    """A choice as the trace has it: factors, the index of a category, a location."""
    values = knob.choices[choice]
    if knob.kind == "tile":
        return list(values)
    return choice if knob.kind == "choice" else values[0]


def choice_of(knob: Knob, decision: Any) -> int | None:
    """The index of the choice that a decision is; a location that was not seen before is the nearest one."""
    if decision is None:
        return None
    if knob.kind == "tile":
        factors = tuple(int(factor) for factor in decision)
        return knob.choices.index(factors) if factors in knob.choices else None
    value = int(decision)
    if knob.kind == "choice":
        return value if value < len(knob.choices) else None
    return min(max(value - knob.choices[0][0], 0), len(knob.choices) - 1)


@lru_cache(maxsize=4096)
def tilings(extent: int, parts: int, longest: int) -> tuple[tuple[int, ...], ...]:
    """All ways to write an extent as a product, the last factor at most `longest`; sorted from the innermost outwards,
    so that neighbours differ little in what matters most.
    """

    def split(rest: int, count: int) -> list[tuple[int, ...]]:
        if count == 1:
            return [(rest,)]
        return [
            (*outer, inner)
            for inner in range(1, rest + 1)
            if rest % inner == 0
            for outer in split(rest // inner, count - 1)
        ]

    found = [factors for factors in split(extent, parts) if factors[-1] <= longest]
    return tuple(sorted(found, key=lambda factors: factors[::-1]))
