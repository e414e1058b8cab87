"""A Gaussian process over the cells of a grid: the logarithm of a latency, by the values of the axes.

Cells are points of named values and nothing else, so whatever is an axis counts. Two cells are alike in as far as they
share values: of single axes, of an axis and the network (a tuner that suits it), of other pairs of axes, and of all
axes but the network (a configuration that is good for all). How much each of these counts is taken from the cells
themselves, by the marginal likelihood; how far the model errs, by leaving each cell out in turn.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5 (5.4.2 for leaving out).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import stdtrit
from threadpoolctl import threadpool_limits

from sweep.predict.cells.exploring import values_to_learn

__all__ = ["FEWEST", "CellModel", "Point"]

Point = Mapping[str, Hashable]
"""A cell: axis -> value."""

FEWEST = 8
"""Measured cells below which nothing is predicted."""

_MAIN = 1.0  # variance of what an axis alone decides, in squared nats: networks differ by factors, not by percents
_SCALES = (0.0001, 0.002, 0.02, 0.1, 0.5)  # variances that are tried for everything else
_NOISES = (0.00002, 0.0002, 0.001, 0.005, 0.05)
_NOISE = "noise"
_TYPICAL, _TYPICAL_NOISE, _WIDTH = 0.005, 0.0005, 2.0  # of a log-normal prior, its width in natural logarithms
_PASSES = 2
_TRIED_ON = 250
"""Cells by which variances are chosen."""
_MOST = 1200
"""Cells that a fit takes: it costs the cube of them."""
_AT_A_TIME = 1000
"""Cells that are predicted together: each takes a row of numbers for each measured one, in a dozen tables."""
_NOTHING = 0.02
"""Standard deviation of the cells of a network, in nats, from where on there is something to explain."""
_NORMAL_95, _NORMAL_99 = 1.959964, 2.326348  # two-sided, one-sided
_LEAST_INFLATION = 1.6  # variances that are chosen from few cells flatter themselves


@dataclass(frozen=True, slots=True)
class CellModel:
    """Fitted to measured cells."""

    points: Sequence[Point]
    axes: Sequence[str]
    network: str
    """The axis of the network."""
    scales: Mapping[str, float]
    """Variance of each part of the covariance, in squared nats, and of the noise."""
    mean: float
    """Of the logarithms of the seconds."""
    factor: np.ndarray
    """Lower Cholesky factor of the covariance, shape [cells, cells]."""
    weights: np.ndarray
    """Inverse covariance times what the mean leaves, shape [cells]."""
    inflation: float
    """By what the model's deviations are multiplied: by how much they fell short when each cell was left out, by 1.6 at
    least, and by more where few cells tell.
    """
    skill: float
    """Share of the variance within networks that it explains, of cells that were left out: 1 is all, 0 no more than the
    mean of the network. Where all cells of a network are nearly alike, errors are held against 2 % in its place.
    """

    @classmethod
    def fit(cls, points: Sequence[Point], seconds: Sequence[float], network: str = "model") -> CellModel | None:
        """Fit to measured cells; of very many to the latest.

        Args:
            points: the cells, each with the same axes.
            seconds: their latencies, positive.
            network: the axis that names the network.

        Returns:
            The model; None for fewer than FEWEST cells, which tell nothing.
        """
        if len(points) < FEWEST:
            return None
        with threadpool_limits(1):  # the cores beside this one measure
            return cls._fitted(points[-_MOST:], np.log(np.asarray(seconds[-_MOST:], dtype=float)), network)

    @classmethod
    def _fitted(cls, points: Sequence[Point], logs: np.ndarray, network: str) -> CellModel:
        axes = [axis for axis in points[0] if len({point[axis] for point in points}) > 1 or axis == network]
        mean = float(logs.mean())
        parts = _parts(points, points, axes, network)
        scales = _likeliest({name: part[-_TRIED_ON:, -_TRIED_ON:] for name, part in parts.items()}, logs[-_TRIED_ON:])
        factor = cholesky(_covariance(parts, scales), lower=True, check_finite=False)
        weights = cho_solve((factor, True), logs - mean, check_finite=False)
        precision = np.diag(cho_solve((factor, True), np.eye(len(points)), check_finite=False))
        errors = weights / precision  # of each cell, left out
        known = _is_seen_twice(points, axes)
        spread = (logs - _means_by([point[network] for point in points], logs))[known]
        skill = 1.0 - _mean_square(errors[known]) / max(_mean_square(spread), _NOTHING**2) if known.any() else 0.0
        standing = np.abs(errors[known]) * np.sqrt(precision[known])
        inflation = max(_LEAST_INFLATION, float(np.quantile(standing, 0.95)) / _NORMAL_95 if known.any() else 0.0)
        left = max(1, len(points) - values_to_learn(points))  # degrees of freedom
        inflation *= float(stdtrit(left, 0.99)) / _NORMAL_99
        return cls(points, axes, network, scales, mean, factor, weights, inflation, skill)

    def predict(self, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
        """Predict cells.

        Returns:
            The expected natural logarithms of their seconds and the standard deviations of a measurement around them,
            both of shape [cells].
        """
        expected, deviation = np.empty(len(points)), np.empty(len(points))
        with threadpool_limits(1):
            for first in range(0, len(points), _AT_A_TIME):
                some = slice(first, first + _AT_A_TIME)
                expected[some], deviation[some] = self._predicted(points[some])
        return expected, deviation

    def _predicted(self, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
        shared = _weighted(_parts(points, self.points, self.axes, self.network), self.scales)  # [cells, measured]
        one = points[:1]
        prior = float(_weighted(_parts(one, one, self.axes, self.network), self.scales)[0, 0]) + self.scales[_NOISE]
        reduced = solve_triangular(self.factor, shared.T, lower=True, check_finite=False)
        variance = np.maximum(prior - (reduced**2).sum(axis=0), self.scales[_NOISE])
        return self.mean + shared @ self.weights, self.inflation * np.sqrt(variance)


def _parts(
    points: Sequence[Point], others: Sequence[Point], axes: Sequence[str], network: str
) -> dict[str, np.ndarray]:
    """What pairs of cells share, by the part of the covariance: each of shape [points, others], counts of matches."""
    same = {axis: _same(points, others, axis) for axis in axes}
    none = np.zeros((len(points), len(others)))
    further = [axis for axis in axes if axis != network]
    return {
        "main": sum(same.values(), start=none),
        **{f"network and {axis}": same[network] * same[axis] for axis in further},
        "pairs": sum((same[one] * same[other] for one, other in combinations(further, 2)), start=none),
        "all but the network": np.prod([same[axis] for axis in further] or [none + 1], axis=0),
    }


def _same(points: Sequence[Point], others: Sequence[Point], axis: str) -> np.ndarray:
    """1 where both have the same value of an axis, else 0; shape [points, others]."""
    numbers: dict[Hashable, int] = {}
    here, there = (
        np.array([numbers.setdefault(point[axis], len(numbers)) for point in side]) for side in (points, others)
    )
    return np.asarray(here[:, None] == there[None, :], dtype=float)


def _likeliest(parts: Mapping[str, np.ndarray], logs: np.ndarray) -> dict[str, float]:
    """The variances under which the cells are likeliest: each part in turn, the others held."""
    scales = {name: _MAIN if name == "main" else _SCALES[2] for name in parts} | {_NOISE: _NOISES[2]}
    left = logs - logs.mean()
    best = _log_likelihood(parts, scales, left)
    for _ in range(_PASSES):
        for name in [name for name in scales if name != "main"]:
            for scale in _NOISES if name == _NOISE else _SCALES:
                tried = scales | {name: scale}
                if (likelihood := _log_likelihood(parts, tried, left)) > best:
                    best, scales = likelihood, tried
    return scales


def _log_likelihood(parts: Mapping[str, np.ndarray], scales: Mapping[str, float], left: np.ndarray) -> float:
    """But for a constant."""
    factor = cholesky(_covariance(parts, scales), lower=True, check_finite=False)
    weights = cho_solve((factor, True), left, check_finite=False)
    likely = -0.5 * float(left @ weights) - float(np.log(np.diag(factor)).sum())
    return likely + sum(_prior(name, scale) for name, scale in scales.items())


def _prior(name: str, scale: float) -> float:
    """Of a variance, log-normal: a few cells would be explained by any part of the covariance, and without noise."""
    if name == "main":
        return 0.0
    typical = _TYPICAL_NOISE if name == _NOISE else _TYPICAL
    return -0.5 * (math.log(scale / typical) / _WIDTH) ** 2


def _weighted(parts: Mapping[str, np.ndarray], scales: Mapping[str, float]) -> np.ndarray:
    return np.asarray(sum(scales[name] * part for name, part in parts.items()))


def _covariance(parts: Mapping[str, np.ndarray], scales: Mapping[str, float]) -> np.ndarray:
    covariance = _weighted(parts, scales)
    return covariance + scales[_NOISE] * np.eye(len(covariance))


def _is_seen_twice(points: Sequence[Point], axes: Sequence[str]) -> np.ndarray:
    """Whether the others show each of a cell's values: what one that alone has a value takes, none of them tells."""
    seen = Counter((axis, point[axis]) for point in points for axis in axes)
    return np.array([all(seen[axis, point[axis]] > 1 for axis in axes) for point in points])


def _mean_square(values: np.ndarray) -> float:
    return float((values**2).mean())


def _means_by(names: Sequence[Hashable], values: np.ndarray) -> np.ndarray:
    """The mean of the values of the same name, for each; shape [values]."""
    sums: dict[Hashable, list[float]] = {}
    for name, value in zip(names, values, strict=True):
        sums.setdefault(name, []).append(float(value))
    return np.array([np.mean(sums[name]) for name in names])
