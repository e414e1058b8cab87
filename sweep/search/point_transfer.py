"""Translates a point into the space of a relative: a workload with the same nest and other blocks around it.

A convolution alone and one with bias and activation are tiled alike; they differ in where the blocks around the nest
are computed, and the relative's own space decides that.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweep.search.space import Design, Knob, Point, Space

__all__ = ["translated"]


def translated(point: Point, source: Space, target: Space) -> Point | None:
    """The point of `target` that takes the decisions of `point` in `source`; None where no design can.

    Tiles of the nest's axes keep their factors and other choices their values, in order; a compute location that
    `source` does not have is the innermost one. Designs that compute what follows in the tiles come first. A point of a
    design that tiles the nest in no known way needs one with the very same knobs.
    """
    if source.nest != target.nest:
        return None
    decided = source.designs[point[0]]
    given = [(knob, knob.choices[choice]) for knob, choice in zip(decided.knobs, point[1:], strict=True)]
    order = sorted(range(len(target.designs)), key=lambda number: (not target.designs[number].is_fused, number))
    tiles = [knob for knob in decided.knobs if knob.kind == "tile"]
    is_own = bool(tiles) and all(knob.axis is None for knob in tiles)
    for number in order:
        knobs = target.designs[number].knobs
        if is_own and [_form(knob) for knob in knobs] != [_form(knob) for knob in decided.knobs]:
            continue
        choices = _choices(target.designs[number], given)
        if choices is not None:
            return (number, *choices)
    return None


def _choices(design: Design, given: Sequence[tuple[Knob, tuple[int, ...]]]) -> list[int] | None:
    left = list(given)
    choices = []
    for knob in design.knobs:
        match = next((index for index, (other, _) in enumerate(left) if _is_alike(knob, other)), None)
        if match is not None:
            choices.append(knob.choices.index(left.pop(match)[1]))
        elif knob.kind == "tile" and knob.axis is not None:
            return None
        else:
            choices.append(len(knob.choices) - 1)
    # A tile of the nest that the design does not have would be lost
    return None if any(knob.axis is not None for knob, _ in left) else choices


def _is_alike(knob: Knob, other: Knob) -> bool:
    return _form(knob) == _form(other)


def _form(knob: Knob) -> tuple[object, ...]:
    return knob.kind, knob.axis, knob.choices
