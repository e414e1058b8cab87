"""A predictor as a file: its settings, the rows that it was fitted on with their ids, and its parameters, as JSON.

Nothing in it is executed or unpickled. Reading it fits the model again to the same rows, which gives the same model,
and compares it with what the file says that it predicted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sweep.errors import StudyError
from sweep.files.atomic import write_text
from sweep.installation import __version__
from sweep.predict.analytical_features import feature_names
from sweep.predict.design_matrix import DesignMatrix
from sweep.predict.fitted_predictor import Predictor, Settings, fit_only
from sweep.predict.interval import Calibration
from sweep.predict.model_kinds import ModelKind
from sweep.predict.observations import UNIT, Observations, Variable
from sweep.predict.physical_terms import COORDINATES, LATER, terms_of

__all__ = ["load_predictor", "save_predictor"]

FORMAT = "sweep-predictor"
VERSION = 1
LARGEST_BYTES = 256 * 2**20
CHECKED = 16
"""So many predictions are kept to compare with."""
SAME = 1e-6
"""Relative difference of two fits to the same rows; libraries of other versions may differ by more, which is said."""


def save_predictor(predictor: Predictor, path: Path) -> None:
    """Writes a predictor to a file, whole or not at all."""
    settings, observed, rows = predictor.settings, predictor.observed, predictor.rows
    content = {
        "format": FORMAT,
        "version": VERSION,
        "made_by": f"tvm-sweep {__version__}",
        "variable": str(settings.variable),
        "unit": UNIT[settings.variable],
        "mode": settings.mode,
        "kind": str(settings.kind),
        "coverage": settings.coverage,
        "seed": settings.seed,
        "terms": list(terms_of(settings.variable, settings.mode).names),
        "chosen_terms": predictor.chosen,
        "coordinates": [*COORDINATES, "batch"],
        "features": feature_names(settings.mode),
        "parameters": predictor.fitted.description,
        "interval_deviations": predictor.calibration.deviations,
        "training": {
            "ids": observed.ids,
            "network": observed.network.tolist(),
            "level_percent": observed.level_percent.tolist(),
            "batch": observed.batch.tolist(),
            "value": observed.value.tolist(),
            "failed": observed.failed,
            "term_values": rows.terms.tolist(),
            "floor_term": rows.floor_term.tolist(),
            "coordinate_values": rows.places.tolist(),
            "feature_values": rows.features.tolist() if _needs_features(settings) else [],
        },
        "check": predictor.predict_rows(rows).value[:CHECKED].tolist(),
    }
    write_text(path, json.dumps(content) + "\n")


def load_predictor(path: Path) -> tuple[Predictor, str | None]:
    """Reads a predictor.

    Returns:
        The predictor, and a remark where libraries of other versions fit another model to the same rows.

    Raises:
        StudyError: no such file, or not one that `sweep predictor fit` wrote.
    """
    content = _read(path)
    try:
        settings = Settings(
            Variable(content["variable"]),
            str(content["mode"]),
            ModelKind(content["kind"]),
            float(content["coverage"]),
            int(content["seed"]),
        )
        training = content["training"]
        rows = _rows(settings, training)
        observed = Observations(
            np.array([str(name) for name in training["network"]]),
            _numbers(training["level_percent"]),
            _numbers(training["batch"]),
            _numbers(training["value"]),
            int(training["failed"]),
        )
        calibration = Calibration(settings.coverage, float(content["interval_deviations"]))
        expected = _numbers(content["check"])
        if not len(rows) == len(observed) == len(observed.network) == len(observed.batch):
            raise ValueError("rows of different number")
        chosen = int(content.get("chosen_terms", 0))  # the first set is all that earlier versions had
        predictor = fit_only(settings, rows, observed, chosen, calibration)
        now = predictor.predict_rows(rows).value[: len(expected)]
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise StudyError(f"{path}: is damaged: {type(error).__name__}: {error}") from error
    difference = float(np.max(np.abs(now / expected - 1))) if len(expected) else 0.0
    if difference <= SAME:
        return predictor, None
    return predictor, (
        f"{path}: the libraries here fit another model to its rows (predictions differ by {difference:.1e}): "
        f"it was made by {content.get('made_by')}"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise StudyError(f"{path}: {path.stat().st_size} bytes; a predictor has at most {LARGEST_BYTES}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path}: does not exist; `sweep predictor fit` makes one") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise StudyError(f"{path}: cannot be read as a predictor: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StudyError(f"{path}: is not a predictor that `sweep predictor fit` wrote")
    if content.get("version") != VERSION:
        raise StudyError(f"{path}: version: {content.get('version')!r}; this sweep reads {VERSION}")
    return content


def _rows(settings: Settings, training: dict[str, Any]) -> DesignMatrix:
    terms, places = _numbers(training["term_values"]), _numbers(training["coordinate_values"])
    names = terms_of(settings.variable, settings.mode).names
    if terms.shape[1:] and len(names) - terms.shape[1] in range(1, len(set(names) & set(LATER)) + 1):
        terms = np.pad(terms, ((0, 0), (0, len(names) - terms.shape[1])))
    if terms.shape[1:] != (len(names),) or places.shape[1:] != (len(COORDINATES) + 1,):
        raise ValueError("rows of other terms than this version has")
    features = (
        _numbers(training["feature_values"])
        if _needs_features(settings)
        else np.zeros((len(terms), len(feature_names(settings.mode))))
    )
    return DesignMatrix(terms, _numbers(training["floor_term"]), places, features)


def _numbers(values: Any) -> np.ndarray:
    numbers = np.array(values, dtype=float)
    if not np.isfinite(numbers).all():
        raise ValueError("a number that is not finite")
    return numbers


def _needs_features(settings: Settings) -> bool:
    return settings.kind in {ModelKind.XGBOOST, ModelKind.EXTRA_TREES}
