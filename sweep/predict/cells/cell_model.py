"""A Gaussian process over the cells of a grid: the logarithm of a latency, by the values of the axes.

Cells are points of named values and nothing else, so whatever is an axis counts. Two cells are alike in as far as they
share values: of single axes, of pairs of axes (a tuner that suits a device), and of everything but the network (a
configuration that is good for all of them). How much each of these counts is taken from the cells themselves, by the
marginal likelihood; how far the model errs, by leaving each cell out in turn.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5 (5.4.2 for leaving out).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from threadpoolctl import threadpool_limits

__all__ = ["FEWEST", "CellModel", "Point"]

Point = Mapping[str, Hashable]
"""A cell: axis -> value."""

FEWEST = 8
"""Measured cells below which nothing is predicted."""

_MAIN = 1.0  # variance of what an axis alone decides, in squared nats: networks differ by factors, not by percents
_PAIRS = (0.01, 0.1, 0.5)
_ALIKE = (0.02, 0.2)
_NOISE = (0.001, 0.02)
_NORMAL_95 = 1.959964
_LEAST_INFLATION = 1.25  # scales that are chosen from few cells flatter themselves
_MOST = 1200
"""Cells that a fit takes: it costs the cube of them."""


@dataclass(frozen=True, slots=True)
class CellModel:
    """Fitted to measured cells."""

    points: Sequence[Point]
    axes: Sequence[str]
    network: str
    """The axis of the network."""
    scales: tuple[float, float, float]
    """Variances of pairs of axes, of configurations alike in all but the network, and of noise, in squared nats."""
    mean: float
    """Of the logarithms of the seconds."""
    factor: np.ndarray
    """Lower Cholesky factor of the covariance, shape [cells, cells]."""
    weights: np.ndarray
    """Inverse covariance times what the mean leaves, shape [cells]."""
    inflation: float
    """By how much the model's deviations fell short when each cell was left out, and at least a quarter."""
    skill: float
    """Share of the variance within networks that it explains, of cells that were left out: 1 is all, 0 no more than the
    mean of the network.
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
            return cls._fitted(points, seconds, network)

    @classmethod
    def _fitted(cls, points: Sequence[Point], seconds: Sequence[float], network: str) -> CellModel:
        points = points[-_MOST:]
        logs = np.log(np.asarray(seconds[-_MOST:], dtype=float))
        axes = [axis for axis in points[0] if len({point[axis] for point in points}) > 1 or axis == network]
        mean = float(logs.mean())
        left = logs - mean
        main, pairs, alike = _parts(_codes(points, points, axes), axes, network)
        best: tuple[float, tuple[float, float, float], Any, Any] | None = None
        for scales in product(_PAIRS, _ALIKE, _NOISE):
            covariance = _MAIN * main + scales[0] * pairs + scales[1] * alike + scales[2] * np.eye(len(points))
            factor = cholesky(covariance, lower=True, check_finite=False)
            weights = cho_solve((factor, True), left, check_finite=False)
            likelihood = -0.5 * float(left @ weights) - float(np.log(np.diag(factor)).sum())
            if best is None or likelihood > best[0]:
                best = likelihood, scales, factor, weights
        assert best is not None
        _, scales, factor, weights = best
        precision = np.diag(cho_solve((factor, True), np.eye(len(points)), check_finite=False))
        errors = weights / precision  # of each cell, left out
        spread = logs - _means_by([point[network] for point in points], logs)
        skill = 1.0 - float((errors**2).sum()) / max(float((spread**2).sum()), 1e-12)
        inflation = max(_LEAST_INFLATION, float(np.quantile(np.abs(errors) * np.sqrt(precision), 0.95)) / _NORMAL_95)
        return cls(points, axes, network, scales, mean, factor, weights, inflation, skill)

    def predict(self, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
        """Predict cells.

        Returns:
            The expected natural logarithms of their seconds and the standard deviations of a measurement around them,
            both of shape [cells].
        """
        main, pairs, alike = _parts(_codes(points, self.points, self.axes), self.axes, self.network)
        pair_scale, alike_scale, noise = self.scales
        shared = _MAIN * main + pair_scale * pairs + alike_scale * alike  # [cells, measured]
        axes = len(self.axes)
        prior = _MAIN * axes + pair_scale * (axes * (axes - 1) // 2) + alike_scale * 1.0 + noise
        reduced = solve_triangular(self.factor, shared.T, lower=True, check_finite=False)
        variance = np.maximum(prior - (reduced**2).sum(axis=0), noise)
        return self.mean + shared @ self.weights, self.inflation * np.sqrt(variance)


def _codes(points: Sequence[Point], others: Sequence[Point], axes: Sequence[str]) -> dict[str, np.ndarray]:
    """Whether each point has the value of each other one, by axis: shape [points, others], 0 or 1."""
    same = {}
    for axis in axes:
        numbers: dict[Hashable, int] = {}
        here, there = (
            np.array([numbers.setdefault(point[axis], len(numbers)) for point in side]) for side in (points, others)
        )
        same[axis] = (here[:, None] == there[None, :]).astype(float)
    return same


def _parts(
    same: Mapping[str, np.ndarray], axes: Sequence[str], network: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many axes two cells share, how many pairs, and whether all but the network; each [points, others]."""
    main = sum(same[axis] for axis in axes)
    pairs = sum((same[one] * same[other] for one, other in combinations(axes, 2)), start=np.zeros_like(main))
    alike = np.prod([same[axis] for axis in axes if axis != network] or [np.ones_like(main)], axis=0)
    return np.asarray(main), np.asarray(pairs), np.asarray(alike)


def _means_by(names: Sequence[Hashable], values: np.ndarray) -> np.ndarray:
    """The mean of the values of the same name, for each; shape [values]."""
    sums: dict[Hashable, list[float]] = {}
    for name, value in zip(names, values, strict=True):
        sums.setdefault(name, []).append(float(value))
    return np.array([np.mean(sums[name]) for name in names])
