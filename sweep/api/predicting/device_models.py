"""Fits models of a device to what was measured, evaluates them, and asks them about networks that were not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import StudyError
from sweep.files.output_place import require_place
from sweep.files.sweep_dir import SweepDir
from sweep.study.runtimes import USUAL_BASELINE

if TYPE_CHECKING:
    from sweep.predict.fitted_predictor import Predictor
    from sweep.predict.layer_geometry import LayerGeometry, Variant
    from sweep.predict.observations import Observations
    from sweep.predict.predictor_evaluation import Evaluation, Held

__all__ = [
    "FittedPredictor",
    "Prediction",
    "evaluate_predictor",
    "evaluate_predictor_on_sweeps",
    "fit_predictor_to_sweeps",
    "fit_predictor_to_tables",
    "predict_network",
    "register",
]


@dataclass(frozen=True, slots=True)
class FittedPredictor:
    """What a fit gave."""

    predictor: Predictor
    out: Path
    left_out: int
    """Measurements that were not used, since their networks' layers are not known."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        settings = self.predictor.settings
        return {
            "out": str(self.out),
            "variable": str(settings.variable),
            "kind": str(settings.kind),
            "mode": settings.mode,
            "rows": len(self.predictor.observed),
            "networks": self.predictor.observed.networks,
            "failed": self.predictor.observed.failed,
            "left_out": self.left_out,
            "parameters": self.predictor.fitted.description,
            "interval_deviations": self.predictor.calibration.deviations,
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted value with its interval."""

    batch: int
    value: float
    low: float
    high: float
    unit: str
    coverage: float
    abstains: bool
    """The network lies more than a factor of four outside of all that was measured: the value has no warrant."""


def fit_predictor_to_tables(
    layers: Path | str, measurements: Path | str, out: Path | str, *, variable: str, mode: str = "training",
    kind: str = "physical+residual", column: str | None = None, coverage: float = 0.9, seed: int = 0,
) -> FittedPredictor:  # fmt: skip
    """Fits a predictor to a table of layers and one of measurements, and writes it to a file.

    Args:
        layers: CSV, a row a layer at batch 1, with the columns of `sweep.predict.layer_geometry.LAYER_COLUMNS`.
        measurements: CSV: network, level_percent, batch, variable, passed and the value's column.
        out: the file to write.
        variable: `latency` (ms) or `memory` (MiB).
        mode: `training` or `inference`: what was measured.
        kind: `physical+residual`, `physical`, `xgboost` or `extra-trees`.
        column: the value's column; default `latency_ms` or `mem_used_mib`.
        coverage: share of values that the intervals are to hold.
        seed: of the folds, and of trees.

    Raises:
        StudyError: a file, column or value is not what it should be.
    """
    from sweep.predict.fitted_predictor import fit_predictor
    from sweep.predict.layer_geometry import read_layers
    from sweep.predict.observations import read_observations
    from sweep.predict.saved_predictor import save_predictor

    settings, out = _settings(variable, mode, kind, coverage, seed), Path(out)
    require_place(out, "--out")
    predictor, left_out = fit_predictor(
        settings, read_layers(Path(layers)), read_observations(Path(measurements), settings.variable, column)
    )
    save_predictor(predictor, out)
    return FittedPredictor(predictor, out, left_out)


def fit_predictor_to_sweeps(
    sweep_dirs: Sequence[Path | str], out: Path | str, *, variable: str = "latency", runtime: str = USUAL_BASELINE,
    device: str | None = None, mode: str = "inference", kind: str = "physical+residual", coverage: float = 0.9,
    seed: int = 0,
) -> FittedPredictor:  # fmt: skip
    """Fits a predictor to the cells of sweeps that one runtime executed on one device, and writes it to a file.

    mode: `inference`, or `training` for the cells of that mode.

    Of several cells of a network at a batch the least value counts. Left out are disturbed and failed cells, and those
    whose outputs nothing was compared with.

    Raises:
        StudyError: too few cells, or cells of several devices and none is named.
        LedgerError, RecordError: a folder is not a sweep directory, or cannot be read.
    """
    from sweep.api.predicting.rows_of_sweeps import rows_of_sweeps
    from sweep.predict.fitted_predictor import fit_predictor
    from sweep.predict.saved_predictor import save_predictor

    settings, out = _settings(variable, mode, kind, coverage, seed), Path(out)
    require_place(out, "--out")
    layers, observed = rows_of_sweeps(_sweeps(sweep_dirs), settings.variable, runtime, device, mode)
    predictor, left_out = fit_predictor(settings, layers, observed)
    save_predictor(predictor, out)
    return FittedPredictor(predictor, out, left_out)


def register(path: Path, name: str, tracking_uri: str | None, sweep_dirs: Sequence[Path] = ()) -> str:
    """Logs a predictor's file to MLflow and registers it; gives `models:/NAME/VERSION`.

    Args:
        path: what a fit wrote.
        name: in the registry.
        tracking_uri: of the store; by default that of the first of the sweeps.
        sweep_dirs: that it was fitted to.

    Raises:
        StudyError: there is neither a store nor a sweep.
        RecordError: the store cannot be reached, or takes no such name.
    """
    from sweep.api.session.table_cache import known_server
    from sweep.record.mlflow.predictor_models import register_predictor
    from sweep.record.mlflow.tracking_store import embedded_store, home_of

    if tracking_uri is not None:
        return register_predictor(path, name, tracking_uri, home_of(tracking_uri, path.parent))
    if not sweep_dirs:
        allowed = "the URI of a tracking server, or sqlite:///FILE"
        raise StudyError(
            "--mlflow: is needed beside --register, since tables have no store of their own", allowed=allowed
        )
    if (server := known_server(sweep_dirs[0])) is not None and server.startswith(("http://", "https://")):
        return register_predictor(path, name, server, None)
    return register_predictor(path, name, *embedded_store(sweep_dirs[0]))


def evaluate_predictor(
    path: Path | str, layers: Path | str, measurements: Path | str, *, how: str = "as-it-is", column: str | None = None
) -> tuple[Evaluation, int, str | None]:
    """Compares a predictor with measurements.

    Args:
        path: the predictor's file.
        layers, measurements: as of `fit_predictor_to_tables`.
        how: `as-it-is`, or with the predictor's settings fitted anew with a part of the tables held out:
            `leave-one-network-out`, `leave-one-device-out` or `within-network`.
        column: the value's column.

    Returns:
        The errors, how many measurements have no layers, and a remark on the predictor's file or None.

    Raises:
        StudyError: a file, column or value is not what it should be.
    """
    from sweep.predict.layer_geometry import read_layers
    from sweep.predict.observations import read_observations
    from sweep.predict.saved_predictor import load_predictor

    held = _held(how)
    predictor, remark = load_predictor(Path(path))
    geometry = read_layers(Path(layers))
    observed = read_observations(Path(measurements), predictor.settings.variable, column)
    return *_evaluated(predictor, held, geometry, observed), remark


def evaluate_predictor_on_sweeps(
    path: Path | str, sweep_dirs: Sequence[Path | str], *, how: str = "as-it-is", runtime: str = USUAL_BASELINE,
    device: str | None = None,
) -> tuple[Evaluation, int, str | None]:  # fmt: skip
    """Compares a predictor with the cells of sweeps: those that `fit_predictor_to_sweeps` would take.

    With `leave-one-device-out` those of all devices count where none is named. Otherwise as `evaluate_predictor`.

    Raises:
        StudyError, LedgerError, RecordError: as of `fit_predictor_to_sweeps`, and of `evaluate_predictor`.
    """
    from sweep.api.predicting.rows_of_sweeps import rows_of_sweeps
    from sweep.predict.predictor_evaluation import Held
    from sweep.predict.saved_predictor import load_predictor

    held, folders = _held(how), _sweeps(sweep_dirs)
    predictor, remark = load_predictor(Path(path))
    of = predictor.settings
    is_by_device = held is Held.DEVICES
    rows = rows_of_sweeps(folders, of.variable, runtime, device, of.mode, is_by_device=is_by_device)
    return *_evaluated(predictor, held, *rows), remark


def _sweeps(folders: Sequence[Path | str]) -> Sequence[Path]:
    """Raises StudyError where one is none."""
    paths = [Path(folder) for folder in folders]
    for path in paths:
        SweepDir(path).require_as("DIR")
    return paths


def _held(how: str) -> Held | None:
    """What is to be held out; None where nothing is."""
    from sweep.predict.predictor_evaluation import AS_IT_IS, Held

    if how == AS_IT_IS:
        return None
    allowed = [AS_IT_IS, *(str(one) for one in Held)]
    if how not in allowed:
        raise StudyError(f"--how: {how!r}; allowed: {', '.join(allowed)}")
    return Held(how)


def _evaluated(
    predictor: Predictor, held: Held | None, layers: dict[Variant, LayerGeometry], observed: Observations
) -> tuple[Evaluation, int]:
    from sweep.predict.predictor_evaluation import evaluate, evaluate_held_out

    if held is None:
        return evaluate(predictor, layers, observed)
    return evaluate_held_out(predictor.settings, layers, observed, held)


def predict_network(
    path: Path | str, model: Path | str, batches: Sequence[int] = (1,), inputs: dict[str, tuple[int, ...]] | None = None
) -> tuple[list[Prediction], str | None]:
    """Predicts a network's latency or memory at some batches; also gives a remark on the predictor's file, or None.

    Args:
        path: the predictor's file.
        model: an ONNX file.
        batches: samples a call.
        inputs: shapes of inputs by name, for open dimensions; others are taken for 1.

    Raises:
        StudyError: a file is not what it should be.
    """
    from sweep.predict.network_layers import layers_of_onnx
    from sweep.predict.observations import UNIT
    from sweep.predict.saved_predictor import load_predictor

    predictor, remark = load_predictor(Path(path))
    geometry, settings = layers_of_onnx(Path(model), inputs), predictor.settings
    found = predictor.predict([(geometry, float(batch)) for batch in batches])
    unit, share = UNIT[settings.variable], settings.coverage
    rows = zip(batches, found.value, found.low, found.high, found.abstains, strict=True)
    return [
        Prediction(batch, float(value), float(low), float(high), unit, share, bool(abstains))
        for batch, value, low, high, abstains in rows
    ], remark


def _settings(variable: str, mode: str, kind: str, coverage: float, seed: int) -> Any:
    from sweep.predict.analytical_features import INFERENCE, TRAINING
    from sweep.predict.fitted_predictor import Settings
    from sweep.predict.model_kinds import ModelKind
    from sweep.predict.observations import Variable

    for option, value, allowed in (
        ("--variable", variable, [str(one) for one in Variable]),
        ("--mode", mode, [INFERENCE, TRAINING]),
        ("--kind", kind, [str(one) for one in ModelKind]),
    ):
        if value not in allowed:
            raise StudyError(f"{option}: {value!r}; allowed: {', '.join(allowed)}")
    if not 0.5 <= coverage < 1:
        raise StudyError(f"--coverage: {coverage:g}; allowed: at least 0.5 and below 1")
    return Settings(Variable(variable), mode, ModelKind(kind), coverage, seed)
