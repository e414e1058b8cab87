"""A sum of terms with weights that are not negative, between a floor and a ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweep.predict.physical_terms import Terms

__all__ = ["PhysicalModel", "fit_physical"]

FLOOR_EDGE = {False: 4.0, True: 8.0}
"""How sharply the sum takes over from the floor: exponent of a power mean, by whether there is a ceiling."""
CEILING_EDGE = 12.0
SOFT = 0.05
"""Relative error from where on a row pulls with constant force and not with growing one."""
TRUST_IN_EXPECTATION = 0.6
"""Weight of the expected weights beside the measurements, in units of `SOFT` a natural logarithm."""


@dataclass(frozen=True, slots=True)
class PhysicalModel:
    """The fitted weights.

    Source: least squares of the logarithm with a soft-L1 loss, from where non-negative least squares of the relative
    error ends.
    """

    terms: Terms
    weights: np.ndarray
    """One a term; shape [terms]."""
    floor: float
    """Least value for one unit of the floor's term."""
    ceiling: float | None

    def predict(self, values: np.ndarray, floor_term: np.ndarray) -> np.ndarray:
        """Predicts from the terms of networks.

        Args:
            values: the terms, shape [rows, terms].
            floor_term: the term that the floor is proportional to, shape [rows].

        Returns:
            In the unit of what was measured; shape [rows].
        """
        return _bounded(values @ self.weights, floor_term * self.floor, self.ceiling)


def fit_physical(
    terms: Terms, values: np.ndarray, floor_term: np.ndarray, measured: np.ndarray, chosen: int = 0
) -> PhysicalModel:
    """Fits the weights to measured values; shapes [rows, terms], [rows] and [rows]. `chosen`: the set of terms."""
    from scipy.optimize import least_squares, nnls

    seen = (values.max(axis=0) > 0) & terms.among(chosen)  # a term that no network has gets no weight
    scale = values[:, seen].max(axis=0)
    scaled, target = values[:, seen] / scale, np.log(measured)
    if terms.expected is None:
        first, _ = nnls(scaled / measured[:, None], np.ones(len(measured)))
        start, pull = np.log(np.maximum(first, 1e-3 * measured.mean())), 0.0
    else:
        start, pull = (
            np.log(np.array(terms.expected)[seen] * scale),
            TRUST_IN_EXPECTATION * SOFT * np.sqrt(len(measured)),
        )
    bounds = [np.log(measured.min() / floor_term.mean())] + ([np.log(measured.max())] if terms.has_ceiling else [])
    count = len(start)

    def value_at(point: np.ndarray) -> np.ndarray:
        ceiling = float(np.exp(point[count + 1])) if terms.has_ceiling else None
        return _bounded(scaled @ np.exp(point[:count]), floor_term * np.exp(point[count]), ceiling)

    def residuals(point: np.ndarray) -> np.ndarray:
        ratio = (np.log(value_at(point)) - target) / SOFT
        soft = np.sign(ratio) * SOFT * np.sqrt(2 * (np.sqrt(1 + ratio**2) - 1))
        return np.concatenate([soft, pull * (point[:count] - start)])

    widest = 25.0  # a factor of e^25 either way: beyond it an exponential overflows, and no term has a meaning
    begin = np.concatenate([start, bounds])
    found = least_squares(residuals, begin, bounds=(begin - widest, begin + widest), max_nfev=300).x
    weights = np.zeros(len(seen))
    weights[seen] = np.exp(found[:count]) / scale
    return PhysicalModel(
        terms,
        weights,
        float(np.exp(found[count])),
        float(np.exp(found[count + 1])) if terms.has_ceiling else None,
    )


def _bounded(total: np.ndarray, floor: np.ndarray, ceiling: float | None) -> np.ndarray:
    """Rounds the corners of max(floor, min(ceiling, total)); in units of the floor, so that no power overflows."""
    edge = FLOOR_EDGE[ceiling is not None]
    share = np.maximum(total / floor, 1e-12)
    raised = floor * np.where(share > 1e3, share, (1 + np.minimum(share, 1e3) ** edge) ** (1 / edge))
    if ceiling is None:
        return np.asarray(raised)
    part = np.minimum(raised / ceiling, 1e6)
    return np.asarray(ceiling * part / (1 + part**CEILING_EDGE) ** (1 / CEILING_EDGE))
