"""What the physical sum leaves: a Gaussian process over the sizes of networks.

Near measured networks it corrects the sum; far from all of them it says nothing, and says that it says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ResidualModel", "fit_residual"]

LENGTH = 1.5
"""Distance of two networks, in natural logarithms of their sizes, over which an error is remembered."""
BATCH_LENGTH = 1.05
"""The same of batches."""
SPREAD = 0.1
"""Standard deviation of what the sum leaves, as a logarithm."""
NOISE = 0.05
"""Standard deviation of a measurement around its neighbours, as a logarithm."""


@dataclass(frozen=True, slots=True)
class ResidualModel:
    """A fitted Gaussian process; source: scikit-learn's, with an exponential kernel and fixed lengths."""

    process: Any

    def predict(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicts corrections and how new each place is.

        Args:
            places: coordinates, shape [rows, 7].

        Returns:
            The corrections as natural logarithms, and the novelty from 0 (measured here) to 1 (nothing near); both of
            shape [rows].
        """
        mean, deviation = self.process.predict(_scaled(places), return_std=True)
        variance = np.clip((deviation**2 - NOISE**2) / SPREAD**2, 0.0, 1.0)
        return np.asarray(mean), np.sqrt(variance)


def fit_residual(places: np.ndarray, left: np.ndarray) -> ResidualModel:
    """Fits the process to what the sum leaves, as natural logarithms; shapes [rows, 7] and [rows]."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(SPREAD**2) * Matern(1.0, nu=0.5) + WhiteKernel(NOISE**2)
    return ResidualModel(GaussianProcessRegressor(kernel, optimizer=None).fit(_scaled(places), left))


def _scaled(places: np.ndarray) -> np.ndarray:
    scaled = places / LENGTH
    scaled[:, -1] = places[:, -1] / BATCH_LENGTH
    return np.asarray(scaled)
