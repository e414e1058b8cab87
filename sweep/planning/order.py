"""Which cells are answered first: the most informative ones, so that a run cut short has an answer of every model.

A coarse answer comes before a fine one. Waves, each over all models and devices before the next begins:

0. the baseline of each model and device: the other runtimes, and its most promising choices untuned;
1. the most promising cell of each model and device;
2. the other untuned cells, which cost a build and a measurement each;
3. the other tuned cells, those of few trials first.

Within a wave cells keep the order of the grid.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from sweep.study.axes import axis_names, by_promise
from sweep.study.cell_values import values_on
from sweep.study.spec import NATIVE, Cell, Study

__all__ = ["by_information"]

_TUNERS = ("xgb", "mlp", "ga", "droplet", "optuna", "random", "gridsearch")
"""What has learnt most from a trial comes first; a person's own tuner before all of them, since it is asked about."""
_LEVELS = (3, 4, 2, 1, 0)
"""Level 4 changes last digits, so 3 is what most would ship."""

_Promise = tuple[int, ...]
_Rank = tuple[int, int]


def by_information(study: Study, cells: Sequence[Cell]) -> list[int]:
    """Indices of the cells, the most informative first."""
    ranking = _Ranking(study)
    choices = values_on([axis for axis in axis_names() if axis != "tuner"])
    best: dict[Hashable, tuple[_Promise, int]] = {}
    for index, cell in enumerate(cells):
        if ranking.is_tuned(cell):
            group, promise = (cell.model, cell.device), ranking.promise(cell)
            if group not in best or promise < best[group][0]:
                best[group] = promise, index
    first = {index for _, index in best.values()}
    base = {choices(cells[index]) for index in first}
    without = {(cell.model, cell.device) for cell in cells} - best.keys()
    waves: dict[_Rank, list[int]] = {}
    for index, cell in enumerate(cells):
        is_base = choices(cell) in base or (cell.model, cell.device) in without
        waves.setdefault(ranking.wave(cell, is_first=index in first, is_base=is_base), []).append(index)
    return [index for rank in sorted(waves) for index in waves[rank]]


class _Ranking:
    """What a study says about its cells before any of them is measured."""

    def __init__(self, study: Study) -> None:
        self._untuned = {tuner.label for tuner in study.tuners if tuner.is_untuned}
        self._trials = {tuner.label: int(tuner.options.get("trials_per_task") or 0) for tuner in study.tuners}
        names = {name: rank for rank, name in enumerate(_TUNERS)}
        self._tuners = {tuner.label: (names.get(tuner.name, -1), -self._trials[tuner.label]) for tuner in study.tuners}
        native_first = sorted(study.targets, key=lambda target: target.attrs["kind"] != NATIVE)
        self._ranks: dict[Hashable, int] = {
            **{("target", target.name): rank for rank, target in enumerate(native_first)},
            **{(axis, value): rank for axis, values in study.choices.items() for rank, value in enumerate(values)},
            **{("opt_level", level): rank for rank, level in enumerate(_LEVELS)},
        }
        self._promising = by_promise()
        self._promising_values = values_on(self._promising)

    def is_tuned(self, cell: Cell) -> bool:
        return cell.is_compiled and cell.tuner not in self._untuned

    def promise(self, cell: Cell) -> _Promise:
        """The less, the likelier is the cell to be the fastest of its model and device. Unlisted values come last."""
        last = len(self._ranks)
        pairs = zip(self._promising, self._promising_values(cell), strict=True)
        ranks = (self._ranks.get(pair, last) for pair in pairs)
        return (*self._tuners[cell.tuner], *ranks)

    def wave(self, cell: Cell, *, is_first: bool, is_base: bool) -> _Rank:
        if not cell.is_compiled:
            return 0, 0
        if cell.tuner in self._untuned:
            return (0, 1) if is_base else (2, 0)
        return (1, 0) if is_first else (3, self._trials[cell.tuner])
