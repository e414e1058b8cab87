"""What the physical sum leaves: a Gaussian process over the sizes of networks.

Near measured networks it corrects the sum; far from all of them it says nothing, and says that it says nothing. How far
an error is remembered is fixed where several networks are known, which differ in more than their sizes; the levels of a
single one tell it themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

__all__ = ["USUAL", "Memory", "ResidualModel", "fit_residual", "memory_of_one_network"]

SPREAD = 0.1
"""Standard deviation of what the sum leaves, as a logarithm."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How far from where it was seen an error is remembered, and how much of it."""

    length: float = 1.5
    """Distance of two networks, in natural logarithms of their sizes."""
    batch_length: float = 1.05
    """The same of batches."""
    noise: float = 0.05
    """Standard deviation of a measurement around its neighbours, as a logarithm."""


USUAL = Memory()
_TRIED = tuple(Memory(*values) for values in product((0.75, 1.5, 3.0), (0.3, 1.05, 2.0), (0.02, 0.05, 0.1, 0.2)))
_TRIED_ON = 400
"""Rows by which a memory is chosen: it costs the cube of them."""
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class ResidualModel:
    """A fitted Gaussian process; source: scikit-learn's, with an exponential kernel and fixed lengths."""

    process: Any
    memory: Memory
    usual: Any
    """The process with the usual memory, which says how new a place is; so novelties of all models mean the same."""

    def predict(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicts corrections and how new each place is.

        Args:
            places: coordinates, shape [rows, 7].

        Returns:
            The corrections as natural logarithms, and the novelty from 0 (measured here) to 1 (nothing near); both of
            shape [rows].
        """
        mean, deviation = self.usual.predict(_scaled(places, USUAL), return_std=True)
        if self.memory != USUAL:
            mean = self.process.predict(_scaled(places, self.memory))
        variance = np.clip((deviation**2 - USUAL.noise**2) / SPREAD**2, 0.0, 1.0)
        return np.asarray(mean), np.sqrt(variance)


def fit_residual(places: np.ndarray, left: np.ndarray, memory: Memory = USUAL) -> ResidualModel:
    """Fits the process to what the sum leaves, as natural logarithms; shapes [rows, 7] and [rows]."""
    usual = _process(places, left, USUAL)
    return ResidualModel(usual if memory == USUAL else _process(places, left, memory), memory, usual)


def _process(places: np.ndarray, left: np.ndarray, memory: Memory) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(SPREAD**2) * Matern(1.0, nu=0.5) + WhiteKernel(memory.noise**2)
    return GaussianProcessRegressor(kernel, optimizer=None).fit(_scaled(places, memory), left)


def memory_of_one_network(places: np.ndarray, left: np.ndarray) -> Memory:
    """Finds the memory that predicts levels of a network best from its other levels.

    Args:
        places: coordinates of rows of one network at several levels, shape [rows, 7].
        left: what the sum leaves of each, as natural logarithms; shape [rows].

    Returns:
        That with the least mean absolute error, of levels held out in turn; the usual one where there is one level.
    """
    _, level = np.unique(places[:, :-1].round(9), axis=0, return_inverse=True)
    level = level.ravel()
    dealt = np.random.default_rng(0).permutation(int(level.max()) + 1)
    if len(dealt) < 2:
        return USUAL
    rank = np.argsort(dealt)[level]  # whole levels, as many as there is time for
    few = np.argsort(rank, kind="stable")[:_TRIED_ON]
    fold = rank[few] % min(_FOLDS, len(dealt))
    return min(_TRIED, key=lambda memory: _error(places[few], left[few], fold, memory))


def _error(places: np.ndarray, left: np.ndarray, fold: np.ndarray, memory: Memory) -> float:
    scaled = _scaled(places, memory)
    shared = SPREAD**2 * np.exp(-cdist(scaled, scaled))
    errors = []
    for held in (fold == number for number in np.unique(fold)):
        known = shared[np.ix_(~held, ~held)] + memory.noise**2 * np.eye(int((~held).sum()))
        guessed = shared[np.ix_(held, ~held)] @ cho_solve(cho_factor(known), left[~held])
        errors.append(np.abs(guessed - left[held]))
    return float(np.concatenate(errors).mean())


def _scaled(places: np.ndarray, memory: Memory) -> np.ndarray:
    scaled = places / memory.length
    scaled[:, -1] = places[:, -1] / memory.batch_length
    return np.asarray(scaled)
