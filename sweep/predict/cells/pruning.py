"""Which cells of a grid need not be measured, because the measured ones say that they cannot be the best. Pure.

A cell is skipped when with 99 % it is not faster than the best that was measured of its group, by more than 2 %. Of
those to be skipped a sample is measured all the same, the audit: it tells how often the prediction would
have been wrong.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.predict.cells.cell_model import FEWEST, CellModel, Point
from sweep.predict.cells.exploring import values_to_learn

__all__ = ["AS_GOOD", "LEAST_SKILL", "Candidate", "Outlook", "Prediction", "Pruner", "PruningRules"]

_NORMAL_99 = 2.326348  # one-sided
AS_GOOD = 0.02
"""A cell that is faster than the best by less is not looked for: within so much two latencies are the same here."""
LEAST_SKILL = 0.7
"""Of a model that may skip cells: one in a hundred would be wrong by chance alone, and a grid has many hundreds. A few
cells have come to 0.5 by chance, where there was nothing to see."""
_BELIEVED_FROM = 1.5
"""Cells from which on a model may skip others, in units of those that it is asked from: fewer agree by chance."""
_SKILL_TO_ORDER = 0.2
"""Of a model that says which cells come first: an order skips nothing."""
_GROWTH = 1.08  # measured cells since the last fit, from which on a new one is worth its time


@dataclass(frozen=True, slots=True)
class PruningRules:
    """How far pruning may go."""

    prune: float = 0.5
    """Share of the cells that may be skipped at most, in [0, 1)."""
    audit: float = 0.1
    """Share of the cells to be skipped that are measured all the same, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cell of the grid, by what pruning knows of it."""

    id: str
    """Decides whether it is in the audit, so that each run draws the same."""
    point: Point
    group: Hashable
    """Cells that compete: of one network at one batch on one device."""
    may_be_skipped: bool = True
    """One that may not is learnt from, and does not compete with the others."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of a cell that cannot be the best of its group."""

    index: int
    low_s: float
    high_s: float
    """Ends of an interval that holds the latency with 98 %: it is below the lower end with 1 %."""
    best_s: float
    """The upper end of the fastest measured cell of its group, below which it does not lie by more than AS_GOOD."""
    is_audited: bool
    """Whether it is measured all the same."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the measured cells say of the others."""

    promising: Sequence[int]
    """Cells that are not measured, the most promising first: see `_by_promise`."""
    hopeless: Sequence[Prediction]
    """Cells that have come to be without hope, each named once; the surest first."""


class Pruner:
    """Learns from the cells as they are measured, and names those that need not be."""

    def __init__(
        self, candidates: Sequence[Candidate], rules: PruningRules, known: Iterable[tuple[Point, float]] = ()
    ) -> None:
        """known: cells of other sweeps with their seconds, to begin with; they have the same axes."""
        self._candidates = candidates
        self._rules = rules
        self._known = list(known)
        self._seconds: dict[int, float] = {}
        self._best_s: dict[Hashable, float] = {}
        self._open = set(range(len(candidates)))
        self._skipped = 0
        self._audited: set[int] = set()
        self._fitted_on = 0
        self.fewest = max(FEWEST, values_to_learn([candidate.point for candidate in candidates]))
        """Measured cells before the model is asked."""

    def observe(
        self, index: int, seconds: float | None, high_s: float | None = None, *, may_be_best: bool = True
    ) -> None:
        """A cell is settled.

        Args:
            index: the candidate.
            seconds: its median; None where it was not measured, or disturbed.
            high_s: the upper end of its interval.
            may_be_best: whether others are held against it; not against one that breaks a limit of the study.
        """
        self._open.discard(index)
        if seconds is None or not seconds > 0:
            return
        self._seconds[index] = seconds
        if not may_be_best or not self._candidates[index].may_be_skipped:
            return
        group = self._candidates[index].group
        self._best_s[group] = min(self._best_s.get(group, math.inf), high_s or seconds)

    def look(self) -> Outlook | None:
        """What the measured cells say of the others; None where they say no more than before."""
        model = self._refit()
        if model is None or model.skill < _SKILL_TO_ORDER:
            return None
        asked = [index for index in sorted(self._open - self._audited) if self._candidates[index].may_be_skipped]
        if not asked:
            return None
        expected, deviation = model.predict([self._candidates[index].point for index in asked])
        low, high = expected - _NORMAL_99 * deviation, expected + _NORMAL_99 * deviation
        groups = [self._candidates[index].group for index in asked]
        best = np.log([self._best_s.get(group, math.nan) for group in groups])
        is_believed = model.skill >= LEAST_SKILL and self._fitted_on >= _BELIEVED_FROM * self.fewest
        above = low - best - math.log(1 - AS_GOOD) if is_believed else np.full(len(asked), math.nan)
        hopeless = []
        for place in np.argsort(-above, kind="stable"):  # what is not a number comes last
            if not above[place] > 0:
                break
            low_s, high_s, best_s = (math.exp(value[place]) for value in (low, high, best))
            index = asked[place]
            hopeless.append(Prediction(index, low_s, high_s, best_s, is_audited=self._is_in_audit(index)))
        order = _by_promise(groups, expected, best)
        return Outlook([asked[place] for place in order], self._judged(hopeless))

    def _judged(self, hopeless: Sequence[Prediction]) -> list[Prediction]:
        """As many as may be skipped, the surest first, with those of the audit among them."""
        room = int(self._rules.prune * len(self._candidates)) - self._skipped
        judged = []
        for prediction in hopeless:
            if room <= 0:
                break
            if prediction.is_audited:
                self._audited.add(prediction.index)
            else:
                room -= 1
                self._skipped += 1
                self._open.discard(prediction.index)
            judged.append(prediction)
        return judged

    def _refit(self) -> CellModel | None:
        """A model of all that is measured; None where too little is new since the last one."""
        measured = len(self._seconds) + len(self._known)
        if measured < max(self.fewest, _GROWTH * self._fitted_on):
            return None
        points = [point for point, _ in self._known] + [self._candidates[index].point for index in self._seconds]
        seconds = [value for _, value in self._known] + list(self._seconds.values())
        self._fitted_on = measured
        return CellModel.fit(points, seconds)

    def _is_in_audit(self, index: int) -> bool:
        draw = int.from_bytes(hashlib.sha256(self._candidates[index].id.encode()).digest()[:4], "big") / 2**32
        return draw < self._rules.audit


def _by_promise(groups: Sequence[Hashable], expected: np.ndarray, best: np.ndarray) -> list[int]:
    """Places by promise: of each group without a measured cell the likeliest, then by what is expected
    beside the best of the group, or beside its likeliest.

    groups: of each cell. expected, best: logarithms of seconds, the latter NaN without a measured cell; shape [cells].
    """
    likeliest: dict[Hashable, int] = {}
    for place in np.argsort(expected, kind="stable").tolist():
        likeliest.setdefault(groups[place], place)
    first = [place for place in likeliest.values() if np.isnan(best[place])]
    least = expected[[likeliest[group] for group in groups]]
    beside = expected - np.where(np.isnan(best), least, best)
    beside[first] = -np.inf
    return [int(place) for place in np.argsort(beside, kind="stable")]
