"""Chooses who takes part in a final: a model's best compiled cells on a device, the fastest of each rival, and what was
disturbed and may be faster than these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.rows.bounds import EXACT, Reading, leading
from sweep.study.axes import compared_within
from sweep.study.spec import Cell

__all__ = ["Candidate", "finalists", "is_near"]

BEYOND = 1.5
"""A cell that nothing disturbed and that takes longer than so many times the leader's time does not take part: a final
tells small differences, and every contender makes the rounds longer."""


NEAR = 3.0
"""What was disturbed and took longer than so many times the least that any took is not measured again for its own sake:
the final tells whether it is slower, and nobody asks by how much."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cell that was measured and can be measured again."""

    cell: Cell
    reading: Reading


def finalists(
    candidates: Sequence[Candidate], best: int, baseline: str | None, *, compiles: bool, most: int, seconds: float
) -> list[list[Candidate]]:
    """The contenders of each group that has two at least.

    best: compiled cells at most, and those that were disturbed and can be told slower within `seconds` each. baseline:
    the runtime whose fastest always takes part. compiles: whether the sweep compiles anything: then compiled cells
    compete, and other runtimes are held against them. most: contenders.
    """
    groups: dict[tuple[Any, ...], list[Candidate]] = {}
    for one in candidates:
        if one.reading.bound is not None:
            key = (*(one.cell.value(axis) for axis in compared_within()), *one.cell.unknown)
            groups.setdefault(key, []).append(one)
    found = (_of_group(group, best, baseline, compiles, seconds)[:most] for group in groups.values())
    return [contenders for contenders in found if len(contenders) > 1]


def is_near(one: Candidate, contenders: Sequence[Candidate]) -> bool:
    """Whether its own measurement is worth taking again, where it was disturbed."""
    return one.reading.median_ms <= NEAR * min(other.reading.median_ms for other in contenders)


def _of_group(
    group: Sequence[Candidate], best: int, baseline: str | None, compiles: bool, seconds: float
) -> list[Candidate]:
    own = sorted((one for one in group if one.cell.is_compiled), key=lambda one: one.reading.median_ms)
    if compiles and not own:
        return []
    runtimes = dict.fromkeys(one.cell.runtime for one in group if not one.cell.is_compiled)
    rivals = [_leader([one for one in group if one.cell.runtime == runtime]) for runtime in runtimes]
    rivals.sort(key=lambda one: (one.cell.runtime != baseline, one.reading.median_ms))
    to_beat = _leader(own or rivals).reading
    able = [one for one in own if not _is_beyond(one.reading, to_beat)]
    may_be_faster = [one for one in able[best:] if one.reading.bound != EXACT and _first_look_s(one) <= seconds]
    near = [one for one in rivals if one.cell.runtime == baseline or not _is_beyond(one.reading, to_beat)]
    return able[:best] + near + may_be_faster


def _first_look_s(one: Candidate) -> float:
    """What its slots take until the final looks for the first time: a round in each heat."""
    from sweep.analysis.turns import HEATS  # numpy, which a plan need not wait for

    return HEATS * 2 * one.reading.median_ms / 1e3


def _leader(group: Sequence[Candidate]) -> Candidate:
    index = leading([one.reading for one in group])
    return group[index or 0]


def _is_beyond(reading: Reading, to_beat: Reading) -> bool:
    return reading.low_ms > BEYOND * to_beat.high_ms
