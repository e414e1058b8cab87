"""How far a prediction may be off: conformal intervals, from errors on networks that a model had not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Calibration", "HeldOut", "calibrate", "shrinkage"]

KNOWN, UNKNOWN = 0.05, 0.1
"""Standard deviations, as natural logarithms: of the error at a measured place, and of what is added far from all."""
MOST_SHRINKAGE = 0.75
"""More networks make a model better, by how much is guessed from a few: no more than this is believed."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Errors of a model on rows that it was not fitted on; arrays of shape [rows]."""

    error: np.ndarray
    """Absolute natural logarithm of predicted to measured."""
    novelty: np.ndarray
    """From 0 (measured here) to 1 (nothing near)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How many standard deviations hold a given share of errors.

    Source: split conformal prediction with normalised errors (Vovk, Gammerman and Shafer 2005; Lei et al. 2018).
    """

    coverage: float
    deviations: float

    def half_width(self, novelty: np.ndarray) -> np.ndarray:
        """Gives the half-width of each row, as a natural logarithm; shape [rows]."""
        return np.asarray(self.deviations * _deviation(novelty))


def calibrate(coverage: float, near: HeldOut, far: list[HeldOut], shrunk: float = 1.0) -> Calibration:
    """Finds the number of deviations.

    Args:
        coverage: share of errors to hold, between 0 and 1.
        near: errors with levels of known networks held out.
        far: errors with one network held out, an entry a network.
        shrunk: what errors far away are multiplied by, since the model that is used knows one network more than
            those that made them: see `shrinkage`.
    """
    scores = [near.error / _deviation(near.novelty), *(one.error * shrunk / _deviation(one.novelty) for one in far)]
    return Calibration(coverage, _quantile(scores, coverage))


def shrinkage(networks: int, with_one_out: list[float], with_two_out: list[float]) -> float:
    """Guesses by how much errors shrink when a model knows one network more, from a power law.

    Some networks' errors shrink and others' grow, and few are known: what is believed is a standard error less than the
    mean says.

    Args:
        networks: how many are known.
        with_one_out: median error on each network, of a model that knows the `networks - 1` others.
        with_two_out: the same of models that know `networks - 2`, averaged over those.

    Returns:
        Between 0.75 and 1.
    """
    if networks < 3:
        return 1.0
    steps = np.log(with_one_out) - np.log(with_two_out)
    step = float(steps.mean() + steps.std(ddof=1) / np.sqrt(len(steps)))
    exponent = np.log(networks / (networks - 1)) / np.log((networks - 1) / (networks - 2))
    return float(np.clip(np.exp(step * exponent), MOST_SHRINKAGE, 1.0))


def _deviation(novelty: np.ndarray) -> np.ndarray:
    return np.sqrt(KNOWN**2 + (UNKNOWN * novelty) ** 2)


def _quantile(groups: list[np.ndarray], coverage: float) -> float:
    """Gives the value that holds a share of all scores, where each group counts alike: asked is how far off a further
    network will be, and not a further row of a network with many.
    """
    values = np.concatenate(groups)
    weights = np.concatenate([np.full(len(group), 1 / len(group) / len(groups)) for group in groups])
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(reached, coverage)), len(values) - 1)])
