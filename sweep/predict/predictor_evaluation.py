"""How good a predictor is: on other measurements, or on its own with networks or levels held out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from sweep.errors import StudyError
from sweep.predict.design_matrix import DesignMatrix, described
from sweep.predict.fitted_predictor import Predictions, Predictor, Settings, fit_rows
from sweep.predict.layer_geometry import LayerGeometry, Variant
from sweep.predict.observations import Observations

__all__ = ["AS_IT_IS", "Evaluation", "Held", "evaluate", "evaluate_held_out"]

AS_IT_IS = "as-it-is"
LEVELS_TO_LEARN = (0.0, 30.0, 50.0, 70.0, 90.0)
"""Of each network, in an evaluation within networks; all others are predicted."""


class Held(StrEnum):
    """What is kept from the predictor that is evaluated."""

    NETWORKS = "leave-one-network-out"
    DEVICES = "leave-one-device-out"
    LEVELS = "within-network"


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of some predictions against measured values."""

    rows: int
    """Predictions that were made."""
    mean_absolute_relative_error: float | None
    """Mean of |predicted - measured| / measured; none where all abstained."""
    median_absolute_relative_error: float | None
    interval_coverage: float | None
    """Share of measured values within the interval."""
    r2: float | None
    """Coefficient of determination."""
    abstained: int
    """Rows that were not predicted, as their networks lie far from all that was measured; in no other number here."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Errors over all rows and by network."""

    total: Errors
    mean_over_networks: float | None
    """Mean of the networks' mean absolute relative errors: each network counts alike."""
    by_network: dict[str, Errors]
    by_device: dict[str, Errors] = field(default_factory=dict)
    """Where devices were held out."""

    def to_json(self) -> dict[str, Any]:
        """Gives the keys of `total` at the top, and `by_network`."""
        return {
            **asdict(self.total),
            "mean_over_networks": self.mean_over_networks,
            "by_network": {network: asdict(errors) for network, errors in self.by_network.items()},
            **(
                {"by_device": {key: asdict(errors) for key, errors in self.by_device.items()}} if self.by_device else {}
            ),
        }


def evaluate(
    predictor: Predictor, layers: dict[Variant, LayerGeometry], observed: Observations
) -> tuple[Evaluation, int]:
    """Evaluates a predictor on measurements; also gives how many have no layers and were left out."""
    rows, observed, without = described(observed, layers, predictor.settings.variable, predictor.settings.mode)
    return _summarise([(observed, predictor.predict_rows(rows))]), without


def evaluate_held_out(
    settings: Settings, layers: dict[Variant, LayerGeometry], observed: Observations, held: Held
) -> tuple[Evaluation, int]:
    """Fits and evaluates once for each network, or each device.

    Args:
        settings: what is fitted.
        layers: the networks' layers.
        observed: measurements of at least two networks, or of other levels than `LEVELS_TO_LEARN`.
        held: the whole network; its levels but `LEVELS_TO_LEARN`, with nothing of other networks known; or all that was
            measured on a device, which is predicted from what the same networks took on the others.

    Raises:
        StudyError: nothing is left to fit on or to predict.
    """
    rows, observed, without = described(observed, layers, settings.variable, settings.mode)
    if held is Held.DEVICES:
        return _devices_held_out(settings, rows, observed), without
    parts = [_one_network(settings, rows, observed, network, held) for network in observed.networks]
    return _summarise(parts), without


def _devices_held_out(settings: Settings, rows: DesignMatrix, observed: Observations) -> Evaluation:
    device = observed.device
    if device is None or len(set(device.tolist())) < 2:
        raise StudyError(f"measurements: device: {Held.DEVICES} needs this column, with two devices at least")
    parts, by_device = [], {}
    for key in sorted(set(device.tolist())):
        learnt = device != key
        predictor = fit_rows(settings, rows.where(learnt), observed.where(learnt))
        part = observed.where(~learnt), predictor.predict_rows(rows.where(~learnt))
        parts.append(part)
        by_device[key] = _errors(part[0].value, part[1])
    return replace(_summarise(parts), by_device=by_device)


def _one_network(
    settings: Settings, rows: DesignMatrix, observed: Observations, network: str, held: Held
) -> tuple[Observations, Predictions]:
    of_network = observed.network == network
    learnt = ~of_network if held is Held.NETWORKS else of_network & np.isin(observed.level_percent, LEVELS_TO_LEARN)
    asked = of_network & ~learnt
    if not learnt.any() or not asked.any():
        raise StudyError(
            f"measurements: {network}: nothing is left to {'learn from' if not learnt.any() else 'predict'}, {held}"
        )
    predictor = fit_rows(settings, rows.where(learnt), observed.where(learnt))
    return observed.where(asked), predictor.predict_rows(rows.where(asked))


def _summarise(parts: list[tuple[Observations, Predictions]]) -> Evaluation:
    networks = np.concatenate([observed.network for observed, _ in parts])
    measured = np.concatenate([observed.value for observed, _ in parts])
    columns = [[getattr(p, name) for _, p in parts] for name in ("value", "low", "high", "abstains")]
    predicted = Predictions(*(np.concatenate(column) for column in columns))
    by_network = {
        network: _errors(measured[networks == network], _where(predicted, networks == network))
        for network in sorted(set(networks.tolist()))
    }
    means = [one.mean_absolute_relative_error for one in by_network.values()]
    known = [mean for mean in means if mean is not None]
    return Evaluation(_errors(measured, predicted), float(np.mean(known)) if known else None, by_network)


def _where(predicted: Predictions, chosen: np.ndarray) -> Predictions:
    return Predictions(
        predicted.value[chosen], predicted.low[chosen], predicted.high[chosen], predicted.abstains[chosen]
    )


def _errors(measured: np.ndarray, predicted: Predictions) -> Errors:
    made = ~predicted.abstains
    silent = int(predicted.abstains.sum())
    if not made.any():
        return Errors(0, None, None, None, None, silent)
    values, guesses = measured[made], predicted.value[made]
    relative = np.abs(guesses - values) / values
    inside = (predicted.low[made] <= values) & (values <= predicted.high[made])
    spread = float(np.sum((values - values.mean()) ** 2))
    return Errors(
        int(made.sum()),
        float(relative.mean()),
        float(np.median(relative)),
        float(inside.mean()),
        1 - float(np.sum((guesses - values) ** 2)) / spread if spread > 0 else None,
        silent,
    )
