"""The metric M: how much slower a configuration is than each device's best, summed over the devices; M chooses.

For devices i, t_i(c) is the time of configuration c and theta_i the least time that any configuration reached there,
also one that is out because it has no time elsewhere. The regret of c on i is (t_i(c) - theta_i) / theta_i, and M(c)
the sum of its regrets over all devices. M is never negative, and 0 for what is best everywhere and for nothing else. A
configuration without a time on one of the devices has no M and is not chosen.

M is computed column by column over blocks of rows: a million configurations cost two numbers a row beside their times.
Devices are summed in the order of their keys, so the order in which they are given does not change the last digit of M,
and with it the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.overlay.layer_times import LayerTimes

__all__ = ["Criterion", "Judgement", "Vector", "judge", "least", "summing_order"]

Vector = NDArray[np.float64]
_BLOCK_ROWS = 8192
"""At 16 devices a block is a megabyte, which stays in a core's cache while its columns are passed over."""


class Criterion(StrEnum):
    """The quantity that the chosen configuration makes least."""

    SUM = "sum"
    """M, the sum of the regrets."""
    WORST = "worst"
    """The largest regret of any device (minimax regret)."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """All configurations of a layer against the best that each device reached."""

    times: LayerTimes
    best_s: Vector
    """theta, shape (devices,): the least time of any configuration; NaN where none has one."""
    slowest_s: Vector
    """Shape (devices,): the most that any configuration took."""
    metric: Vector
    """M, shape (configurations,), with the weights where some were given; NaN for a configuration that is out."""
    largest: Vector
    """Largest regret of any device, shape (configurations,), without weights; NaN for a configuration that is out."""
    chosen: int | None
    """Row of the configuration that is best for all devices; None where every one is out."""

    @property
    def metric_per_device(self) -> Vector:
        """M / N: the mean regret over the N devices."""
        return self.metric / len(self.times.devices)

    @property
    def config(self) -> str | None:
        """Id of the chosen configuration."""
        return None if self.chosen is None else self.times.configurations[self.chosen]

    @property
    def candidates(self) -> int:
        """Configurations that have a time on every device."""
        return int(np.count_nonzero(~np.isnan(self.metric)))

    def regrets(self, row: int) -> Vector:
        """(t - theta) / theta of a configuration, shape (devices,); NaN where it has no time."""
        regrets: Vector = (self.times.seconds[row] - self.best_s) / self.best_s
        return regrets

    def scores(self, row: int) -> Vector:
        """1 - (t - t_min) / (t_max - t_min) of a configuration on each device, shape (devices,).

        t_min and t_max are the least and the most that any configuration of the layer took there: 1 is the best of them
        and 0 the slowest. 1 where all took the same.
        """
        spread_s = self.slowest_s - self.best_s
        lost_s = self.times.seconds[row] - self.best_s
        scores: Vector = 1.0 - lost_s / np.where(spread_s == 0, 1.0, spread_s)
        return scores


def judge(
    times: LayerTimes, *, weights: Mapping[str, float] | None = None, criterion: Criterion = Criterion.SUM
) -> Judgement:
    """Compute M of every configuration and choose one.

    weights: of each device, positive. Their ratio alone counts, since they are scaled to sum to N: equal weights give M
    itself, and M / N is the weighted mean of the regrets. They enter M alone, not the largest regret.

    Of equals (to the last digit) the one that is better by the other criterion is chosen, and of those the least id.
    Raises ValueError for weights that do not fit the devices.
    """
    best_s: Vector = np.fmin.reduce(times.seconds, axis=0, initial=np.nan)
    metric, largest = _regret_sums(times.seconds, best_s, summing_order(times.devices), _scaled(weights, times.devices))
    first, second = (metric, largest) if criterion is Criterion.SUM else (largest, metric)
    return Judgement(
        times=times,
        best_s=best_s,
        slowest_s=np.fmax.reduce(times.seconds, axis=0, initial=np.nan),
        metric=metric,
        largest=largest,
        chosen=least(first, second, times.configurations),
    )


def _regret_sums(
    seconds: Vector, best_s: Vector, columns: Sequence[int], weights: Vector | None = None
) -> tuple[Vector, Vector]:
    """Sum and largest of each row's regrets over these columns, each of shape (rows,); NaN where one has no time.

    seconds: shape (rows, devices). best_s: theta, shape (devices,). weights: shape (devices,); they enter the sum.
    """
    total, largest = np.zeros(len(seconds)), np.zeros(len(seconds))
    scratch = np.empty(min(len(seconds), _BLOCK_ROWS))
    for start in range(0, len(seconds), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = seconds[rows]
        regret = scratch[: len(block)]
        for column in columns:
            # As it is defined: t / theta - 1 can round to 0 for a time that is not the best.
            np.subtract(block[:, column], best_s[column], out=regret)
            regret /= best_s[column]
            np.maximum(largest[rows], regret, out=largest[rows])
            if weights is not None:
                regret *= weights[column]
            total[rows] += regret
    return total, largest


def least(first: Vector, second: Vector, ids: Sequence[str]) -> int | None:
    """Row with the least of `first`, then of `second`, then the least id; None where all are NaN."""
    low = np.fmin.reduce(first, initial=np.nan)
    tied = np.flatnonzero(first == low)
    if len(tied) == 0:
        return None
    tied = tied[second[tied] == second[tied].min()]
    return int(min(tied.tolist(), key=ids.__getitem__))


def summing_order(devices: Sequence[str]) -> list[int]:
    """Columns of the devices in the order of their keys."""
    return sorted(range(len(devices)), key=devices.__getitem__)


def _scaled(weights: Mapping[str, float] | None, devices: Sequence[str]) -> Vector | None:
    if weights is None:
        return None
    if set(weights) != set(devices) or not all(0 < weight < np.inf for weight in weights.values()):
        raise ValueError(f"each of {', '.join(devices)} has a positive weight, and nothing else has one")
    given = np.array([weights[key] for key in devices], dtype=np.float64)
    scaled: Vector = given * (len(devices) / given[summing_order(devices)].sum())
    return scaled
