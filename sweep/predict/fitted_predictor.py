"""A predictor: fitted once, asked for values with an interval, silent where it knows nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from sweep.errors import StudyError
from sweep.predict.design_matrix import DesignMatrix, describe, described
from sweep.predict.interval import Calibration, HeldOut, calibrate, shrinkage
from sweep.predict.layer_geometry import LayerGeometry, Variant
from sweep.predict.model_kinds import Fitted, ModelKind, fit_model
from sweep.predict.observations import Observations, Variable
from sweep.predict.physical_terms import IS_SIZE, terms_of

__all__ = ["Predictions", "Predictor", "Settings", "fit_only", "fit_predictor", "fit_rows"]

BEYOND = np.log(4.0)
"""How far outside of the measured sizes a network may lie, as a natural logarithm: a factor of four."""
LEAST_ROWS = 8
FOLDS = 5
WITH_LEARNING_CURVE = frozenset({ModelKind.PHYSICAL, ModelKind.PHYSICAL_RESIDUAL})
"""Kinds that are fitted in a second, so that fitting them once for each pair of networks costs little."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is predicted, and by what kind of model."""

    variable: Variable
    mode: str
    """`inference` or `training`."""
    kind: ModelKind = ModelKind.PHYSICAL_RESIDUAL
    coverage: float = 0.9
    """Share of values that the intervals are to hold."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted values; each array has shape [rows]."""

    value: np.ndarray
    """In the variable's unit."""
    low: np.ndarray
    high: np.ndarray
    abstains: np.ndarray
    """Whether a network lies so far outside of what was measured that its value has no warrant."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """A fitted model with its intervals and the rows that it was fitted on."""

    settings: Settings
    rows: DesignMatrix
    observed: Observations
    fitted: Fitted
    calibration: Calibration

    def predict(self, networks: list[tuple[LayerGeometry, float]]) -> Predictions:
        """Predicts the value of each (network, batch)."""
        return self.predict_rows(describe(networks, self.settings.variable, self.settings.mode))

    def predict_rows(self, rows: DesignMatrix) -> Predictions:
        """Predicts the value of each row."""
        logarithm, novelty = self.fitted.predict(rows)
        half = self.calibration.half_width(novelty)
        lowest, highest = self.rows.places.min(axis=0), self.rows.places.max(axis=0)
        outside = np.maximum(lowest - rows.places, rows.places - highest)[:, IS_SIZE].max(axis=1)
        return Predictions(np.exp(logarithm), np.exp(logarithm - half), np.exp(logarithm + half), outside > BEYOND)


def fit_predictor(
    settings: Settings, layers: dict[Variant, LayerGeometry], observed: Observations
) -> tuple[Predictor, int]:
    """Fits a predictor to a table of layers and one of measurements.

    Returns:
        The predictor, and how many measurements have no layers and were left out.

    Raises:
        StudyError: too few measurements, or none whose layers are known.
    """
    rows, observed, without = described(observed, layers, settings.variable, settings.mode)
    return fit_rows(settings, rows, observed), without


def fit_rows(settings: Settings, rows: DesignMatrix, observed: Observations) -> Predictor:
    """Fits a predictor to rows whose numbers are computed already.

    Raises:
        StudyError: fewer than 8 rows.
    """
    if len(observed) < LEAST_ROWS:
        counted = "1 row" if len(observed) == 1 else f"{len(observed):,} rows"
        raise StudyError(
            f"measurements: {counted} of {settings.variable} can be used; at least {LEAST_ROWS} are needed"
        )
    with threadpool_limits(1):  # many small systems: on a busy machine threads wait for each other
        return fit_only(settings, rows, observed, _calibrate(settings, rows, observed))


def fit_only(settings: Settings, rows: DesignMatrix, observed: Observations, calibration: Calibration) -> Predictor:
    """Fits a predictor whose intervals are calibrated already."""
    fitted = _fit(settings, rows, observed.value, is_one_network=len(observed.networks) == 1)
    return Predictor(settings, rows, observed, fitted, calibration)


def _fit(settings: Settings, rows: DesignMatrix, measured: np.ndarray, *, is_one_network: bool) -> Fitted:
    terms = terms_of(settings.variable, settings.mode)
    return fit_model(settings.kind, terms, rows, measured, seed=settings.seed, is_one_network=is_one_network)


def _calibrate(settings: Settings, rows: DesignMatrix, observed: Observations) -> Calibration:
    folds = [_held_out(settings, rows, observed, held) for held in _level_folds(observed, settings.seed)]
    near = HeldOut(np.concatenate([f.error for f in folds]), np.concatenate([f.novelty for f in folds]))
    of = {network: observed.network == network for network in observed.networks}
    far = [_held_out(settings, rows, observed, held) for held in of.values() if (~held).sum() >= LEAST_ROWS]
    if settings.kind not in WITH_LEARNING_CURVE or len(far) < max(3, len(of)):
        return calibrate(settings.coverage, near, far)
    two_out = [
        [_held_out(settings, rows.where(~other), observed.where(~other), held[~other]) for other in others]
        for held, others in ((held, [one for one in of.values() if one is not held]) for held in of.values())
    ]
    shrunk = shrinkage(
        len(of),
        [float(np.median(one.error)) for one in far],
        [float(np.exp(np.mean([np.log(np.median(one.error)) for one in tries]))) for tries in two_out],
    )
    return calibrate(settings.coverage, near, far, shrunk)


def _held_out(settings: Settings, rows: DesignMatrix, observed: Observations, held: np.ndarray) -> HeldOut:
    """Fits on what is not held out, and compares the rest with it.

    One network is known as such where nothing else was asked: not where it is what is left of several.
    """
    is_one_network = len(observed.networks) == 1
    fitted = _fit(settings, rows.where(~held), observed.value[~held], is_one_network=is_one_network)
    logarithm, novelty = fitted.predict(rows.where(held))
    return HeldOut(np.abs(logarithm - np.log(observed.value[held])), novelty)


def _level_folds(observed: Observations, seed: int) -> list[np.ndarray]:
    """Deals whole variants (a network at a level) out into folds, so that no batch of one tells another's."""
    variants = list(zip(observed.network.tolist(), observed.level_percent.tolist(), strict=True))
    different = sorted(set(variants))
    folds = min(FOLDS, len(different)) if len(different) > 1 else 0
    if not folds:
        turns = np.arange(len(observed)) % FOLDS
        return [turns == fold for fold in range(FOLDS)]
    dealt = np.random.default_rng(seed).permutation(len(different)) % folds
    fold_of = dict(zip(different, dealt.tolist(), strict=True))
    turns = np.array([fold_of[variant] for variant in variants])
    return [turns == fold for fold in range(folds)]
