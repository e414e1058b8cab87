"""Finds the times that an overlay still lacks, and the candidates whose times decide it. Measures nothing.

First each candidate gets a time on every device, once. A time that was taken once is noisy, and theta and the choice
are the least of many such times: their candidates were lucky, as likely as not. So the candidates that decide a layer
(the fastest on each device and the chosen one) are then measured in turns with those that come close, on every device,
until all that decide it were measured in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import Judgement

__all__ = ["Contest", "Gap", "contest", "deciding", "gaps"]

_CLOSE = 1.1
"""Times a device's best, and 1 + M / N of this many times the chosen one's: what is slower will not win."""
_MOST_CONTESTS = 3
"""Of a layer on a device. Among kernels that take the same, each contest has another winner."""
_MOST_CLOSE = 6
"""Of those that come close, how many are measured again: each is a library to build, for every device."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A configuration that lacks a time on a device, by row and column of its layer's times."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Contest:
    """Configurations of a layer that are to be measured in turns."""

    rows: Sequence[int]
    columns: Sequence[int]
    """Devices that lack it."""


def gaps(times: LayerTimes) -> list[Gap]:
    """What was not measured, configuration by configuration. One that failed anywhere is out, and not tried on."""
    failed = {row for row, _ in times.failures}
    return [Gap(row, column) for row, column in np.argwhere(np.isnan(times.seconds)).tolist() if row not in failed]


def deciding(layer: Judgement) -> list[int]:
    """Rows of the chosen configuration and of the fastest on each device that has a time on all; ascending."""
    if layer.chosen is None:
        return []
    whole = np.flatnonzero(~np.isnan(layer.metric))
    return sorted({layer.chosen, *whole[layer.times.seconds[whole].argmin(axis=0)].tolist()})


def contest(layer: Judgement, compared: Sequence[Sequence[AbstractSet[str]]]) -> Contest | None:
    """What is to be measured in turns next; None where those that decide were, all together, on
    every device, or where enough was tried.

    compared: for each device the sets of configurations that were measured in turns there, the latest last.
    """
    names = layer.times.configurations
    decisive = deciding(layer)
    wanted = {names[row] for row in decisive}
    columns = [
        column
        for column, sets in enumerate(compared)
        if len(sets) < _MOST_CONTESTS and not (sets and wanted <= sets[-1])
    ]
    if not columns or layer.chosen is None:
        return None
    before = {name for sets in compared for name in (sets[-1] if sets else ())}
    again = [row for row, name in enumerate(names) if name in before and not np.isnan(layer.metric[row])]
    rows = sorted({*decisive, *_close(layer), *again})
    return Contest(rows, columns) if len(rows) > 1 else None  # nobody comes close to one that is best everywhere


def _close(layer: Judgement) -> list[int]:
    """The few that come closest to the best on a device, or to the chosen one by M."""
    assert layer.chosen is not None
    mean = layer.metric_per_device
    lost = np.vstack([(1 + mean) / (1 + mean[layer.chosen]), (layer.times.seconds / layer.best_s).T]).min(axis=0)
    near = np.flatnonzero((lost <= _CLOSE) & ~np.isnan(mean)).tolist()
    return sorted(near, key=lambda row: (lost[row], layer.times.configurations[row]))[:_MOST_CLOSE]
