"""A predictor: fitted once, asked for values with an interval, silent where it knows nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
CLEARLY = 0.9
"""A set of terms is taken in place of the first one where it leaves this share of its error, or less."""
FEWEST_NETWORKS = 3
"""That can be held out: of fewer no set of terms is chosen."""
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
    chosen: int
    """The set of its variable's terms that it is made of."""
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
        chosen = _chosen_terms(settings, rows, observed)
        return fit_only(settings, rows, observed, chosen, _calibrate(settings, rows, observed, chosen))


def fit_only(
    settings: Settings, rows: DesignMatrix, observed: Observations, chosen: int, calibration: Calibration
) -> Predictor:
    """Fits a predictor whose set of terms is chosen and whose intervals are calibrated already."""
    fitted = _fit(settings, rows, observed.value, chosen, is_one_network=len(observed.networks) == 1)
    return Predictor(settings, rows, observed, chosen, fitted, calibration)


def _fit(settings: Settings, rows: DesignMatrix, measured: np.ndarray, chosen: int, *, is_one_network: bool) -> Fitted:
    terms = terms_of(settings.variable, settings.mode)
    return fit_model(
        settings.kind, terms, rows, measured, seed=settings.seed, chosen=chosen, is_one_network=is_one_network
    )


def _chosen_terms(settings: Settings, rows: DesignMatrix, observed: Observations) -> int:
    """The set of physical terms by which each network is told best from the others; the first where they are few."""
    sets = len(terms_of(settings.variable, settings.mode).sets)
    held = [of for name in observed.networks if (~(of := observed.network == name)).sum() >= LEAST_ROWS]
    if sets < 2 or settings.kind not in WITH_LEARNING_CURVE or len(held) < FEWEST_NETWORKS:
        return 0
    physical = replace(settings, kind=ModelKind.PHYSICAL)
    errors = [
        float(np.mean([_held_out(physical, rows, observed, of, chosen).error.mean() for of in held]))
        for chosen in range(sets)
    ]
    best = int(np.argmin(errors))
    return best if errors[best] < CLEARLY * errors[0] else 0


def _calibrate(settings: Settings, rows: DesignMatrix, observed: Observations, chosen: int) -> Calibration:
    folds = [_held_out(settings, rows, observed, held, chosen) for held in _level_folds(observed, settings.seed)]
    near = HeldOut(np.concatenate([f.error for f in folds]), np.concatenate([f.novelty for f in folds]))
    of = {network: observed.network == network for network in observed.networks}
    far = [_held_out(settings, rows, observed, held, chosen) for held in of.values() if (~held).sum() >= LEAST_ROWS]
    if chosen or settings.kind not in WITH_LEARNING_CURVE or len(far) < max(3, len(of)):
        return calibrate(settings.coverage, near, far)
    two_out = [
        [_held_out(settings, rows.where(~other), observed.where(~other), held[~other], chosen) for other in others]
        for held, others in ((held, [one for one in of.values() if one is not held]) for held in of.values())
    ]
    shrunk = shrinkage(
        len(of),
        [float(np.median(one.error)) for one in far],
        [float(np.exp(np.mean([np.log(np.median(one.error)) for one in tries]))) for tries in two_out],
    )
    return calibrate(settings.coverage, near, far, shrunk)


def _held_out(settings: Settings, rows: DesignMatrix, observed: Observations, held: np.ndarray, chosen: int) -> HeldOut:
    """Fits on what is not held out, and compares the rest with it.

    One network is known as such where nothing else was asked: not where it is what is left of several.
    """
    is_one_network = len(observed.networks) == 1
    fitted = _fit(settings, rows.where(~held), observed.value[~held], chosen, is_one_network=is_one_network)
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
