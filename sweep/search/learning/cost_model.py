"""The cost models of `xgb` and `mlp`: they learn a point's error of the prior cost, over workloads of equal decisions.

The target of the regression is log(seconds) less log(prior cycles), less what the workload has in common (its mean):
the prior and the workload's own level need not be learned, and a workload that was never measured starts from what its
relatives have shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sweep.search.learning.features import Floats

__all__ = ["BoostedTrees", "CostModel", "Perceptron", "Regressor"]

_FAILED = 2.0
"""What a point that failed counts as: e^2 times slower than its relatives."""
_KEPT_ROWS = 4096
"""Measured points a model is trained on, the latest ones; bounds memory and time."""
_ENOUGH = 12
"""Measured points before a model is trained at all."""
_LEAST_S = 1e-9
"""A clock may read zero."""


class Regressor(Protocol):
    """A regression model: it is fitted to rows of features and predicts a number for each row."""

    def fit(self, rows: Floats, targets: Floats) -> None:
        """Learn anew from all rows."""

    def predict(self, rows: Floats) -> Floats:
        """One number a row."""


@dataclass
class _Samples:
    rows: list[Floats] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)
    workloads: list[str] = field(default_factory=list)
    untrained: int = 0


class CostModel:
    """One regressor for each signature of spaces; retrained once enough was measured since the last time."""

    def __init__(self, make: type[BoostedTrees] | type[Perceptron], seed: int, retrain_every: int) -> None:
        self._make, self._seed, self._retrain_every = make, seed, retrain_every
        self._samples: dict[str, _Samples] = {}
        self._regressors: dict[str, Regressor] = {}

    def add(self, signature: str, workload: str, row: Floats, log_prior: float, seconds: float | None) -> None:
        """Take one measured point in."""
        samples = self._samples.setdefault(signature, _Samples())
        samples.rows.append(row.astype(np.float32))
        samples.residuals.append(np.nan if seconds is None else float(np.log(max(seconds, _LEAST_S))) - log_prior)
        samples.workloads.append(workload)
        samples.untrained += 1
        for column in (samples.rows, samples.residuals, samples.workloads):
            del column[:-_KEPT_ROWS]

    def predict(self, signature: str, rows: Floats, log_prior: Floats) -> Floats:
        """Log of relative cost, comparable within a workload; the prior alone while too little was measured."""
        self._train(signature)
        regressor = self._regressors.get(signature)
        return log_prior if regressor is None else log_prior + regressor.predict(rows)

    def _train(self, signature: str) -> None:
        samples = self._samples.get(signature)
        if samples is None or len(samples.rows) < _ENOUGH or samples.untrained < self._retrain_every:
            return
        samples.untrained = 0
        targets = np.asarray(samples.residuals)
        workloads = np.asarray(samples.workloads)
        for workload in dict.fromkeys(samples.workloads):
            own = workloads == workload
            level = np.nanmean(targets[own]) if np.isfinite(targets[own]).any() else 0.0
            targets[own] = np.where(np.isfinite(targets[own]), targets[own] - level, _FAILED)
        regressor = self._make(self._seed)
        regressor.fit(np.stack(samples.rows), targets)
        self._regressors[signature] = regressor


class BoostedTrees:
    """A regressor of XGBoost's boosted trees, on one thread."""

    _PARAMETERS: Mapping[str, Any] = {
        "objective": "reg:squarederror",
        "max_depth": 5,
        "eta": 0.2,
        "subsample": 0.9,
        "colsample_bytree": 0.7,
        "min_child_weight": 2,
        "tree_method": "hist",
        "max_bin": 64,
        "nthread": 1,
        "verbosity": 0,
    }
    _ROUNDS = 50

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._booster: Any = None

    def fit(self, rows: Floats, targets: Floats) -> None:
        """Learn anew from all rows."""
        import xgboost

        parameters = {**self._PARAMETERS, "seed": self._seed}
        self._booster = xgboost.train(parameters, xgboost.DMatrix(rows, targets, nthread=1), self._ROUNDS)

    def predict(self, rows: Floats) -> Floats:
        """One number a row."""
        return np.asarray(self._booster.inplace_predict(rows.astype(np.float32)), np.float64)


class Perceptron:
    """Two hidden layers in torch, on one thread."""

    _HIDDEN, _EPOCHS = 64, 120

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._net: Any = None
        self._shift: NDArray[np.float64] = np.zeros(0)
        self._scale: NDArray[np.float64] = np.ones(0)

    def fit(self, rows: Floats, targets: Floats) -> None:
        """Learn anew from all rows."""
        import torch

        torch.set_num_threads(1)
        self._shift, self._scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            width = rows.shape[1]
            layers = (
                torch.nn.Linear(width, self._HIDDEN),
                torch.nn.ReLU(),
                torch.nn.Linear(self._HIDDEN, self._HIDDEN),
            )
            net = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Linear(self._HIDDEN, 1))
        optimiser = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-4)
        x = torch.as_tensor((rows - self._shift) / self._scale, dtype=torch.float32)
        y = torch.as_tensor(targets, dtype=torch.float32)[:, None]
        for _ in range(self._EPOCHS):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(net(x), y).backward()
            optimiser.step()
        self._net = net

    def predict(self, rows: Floats) -> Floats:
        """One number a row."""
        import torch

        with torch.no_grad():
            scaled = torch.as_tensor((rows - self._shift) / self._scale, dtype=torch.float32)
            return np.asarray(self._net(scaled)[:, 0].numpy(), np.float64)
