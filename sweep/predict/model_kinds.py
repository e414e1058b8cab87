"""The kinds of models that can be fitted: each turns rows of numbers into logarithms of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sweep.predict.design_matrix import DesignMatrix
from sweep.predict.physical_model import fit_physical
from sweep.predict.physical_terms import Terms
from sweep.predict.residual_model import USUAL, fit_residual, memory_of_one_network

__all__ = ["Fitted", "ModelKind", "fit_model"]


class ModelKind(StrEnum):
    """How values follow from a network."""

    PHYSICAL_RESIDUAL = "physical+residual"
    """The physical sum, corrected near measured networks; the default."""
    PHYSICAL = "physical"
    XGBOOST = "xgboost"
    """Boosted trees on the logarithms of the analytical features."""
    EXTRA_TREES = "extra-trees"
    """300 extremely randomised trees on the analytical features, as perf4sight has."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model that is ready to predict."""

    predict: Callable[[DesignMatrix], tuple[np.ndarray, np.ndarray]]
    """From rows to the natural logarithms of values and the novelty of each row, from 0 to 1; shapes [rows]."""
    description: dict[str, float]
    """Parameters that a person can read."""


def fit_model(
    kind: ModelKind,
    terms: Terms,
    rows: DesignMatrix,
    measured: np.ndarray,
    *,
    seed: int = 0,
    chosen: int = 0,
    is_one_network: bool = False,
) -> Fitted:
    """Fits a model to measured values, shape [rows].

    chosen: the set of physical terms.
    is_one_network: whether all there is to know are levels of one network, of which others are asked.
    """
    if kind in {ModelKind.XGBOOST, ModelKind.EXTRA_TREES}:
        return _fit_trees(kind, rows, measured, seed)
    physical = fit_physical(terms, rows.terms, rows.floor_term, measured, chosen)
    sums = np.log(physical.predict(rows.terms, rows.floor_term))
    left = np.log(measured) - sums
    is_corrected = kind is ModelKind.PHYSICAL_RESIDUAL  # else the residual is there for the novelty alone
    memory = memory_of_one_network(rows.places, left) if is_corrected and is_one_network else USUAL
    residual = fit_residual(rows.places, left, memory)

    def predict(asked: DesignMatrix) -> tuple[np.ndarray, np.ndarray]:
        total = np.log(physical.predict(asked.terms, asked.floor_term))
        correction, novelty = residual.predict(asked.places)
        return total + correction if is_corrected else total, novelty

    weights = dict(zip(terms.names, physical.weights.tolist(), strict=True))
    bounds = {f"floor of one {terms.floor}": physical.floor} | (
        {} if physical.ceiling is None else {"ceiling": physical.ceiling}
    )
    return Fitted(predict, weights | bounds)


def _fit_trees(kind: ModelKind, rows: DesignMatrix, measured: np.ndarray, seed: int) -> Fitted:
    if kind is ModelKind.XGBOOST:
        from xgboost import XGBRegressor

        model = XGBRegressor(n_estimators=300, max_depth=5, learning_rate=0.05, n_jobs=1, random_state=seed)
    else:
        from sklearn.ensemble import ExtraTreesRegressor

        model = ExtraTreesRegressor(n_estimators=300, random_state=seed)
    model.fit(np.log1p(rows.features), np.log(measured))
    near = fit_residual(rows.places, np.zeros(len(measured)))  # for the novelty alone

    def predict(asked: DesignMatrix) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(model.predict(np.log1p(asked.features)), dtype=float), near.predict(asked.places)[1]

    return Fitted(predict, {})
