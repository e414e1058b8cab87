"""Computes what a choice costs a device that had no say in it: the other devices' overlay, applied to that device.

It is made as if the device did not exist: without its times, and without the configurations that its search alone
found. What it loses is told against the best it has with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.merged import same_devices
from sweep.analysis.overlay.metric import Criterion, judge

__all__ = ["LeaveOneOut", "ModelLeaveOneOut", "leave_one_out", "leave_one_out_of_model"]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """The regret of one layer on a device that had no say in its choice, or the reason why there is none."""

    layer: str
    device: str
    config: str | None
    """What the other devices choose; None where they have nothing in common."""
    time_s: float | None
    best_s: float | None
    """theta of the device."""
    regret: float | None
    reason: str | None
    """Why there is no regret."""


@dataclass(frozen=True, slots=True)
class ModelLeaveOneOut:
    """The regret of a model on a device that had no say in its choices; the sums are as in `Merged`."""

    device: str
    estimate_s: float
    best_s: float
    regret: float | None
    """None where no layer could be told."""
    undecided: Mapping[str, str]
    """Layers that are in neither sum, with the reason."""


def leave_one_out(times: LayerTimes, *, criterion: Criterion = Criterion.SUM) -> list[LeaveOneOut]:
    """Each device in turn. Empty for a single device."""
    if len(times.devices) < 2:
        return []
    return [_left_out(times, column, criterion) for column in range(len(times.devices))]


def leave_one_out_of_model(
    layers: Sequence[LayerTimes], *, criterion: Criterion = Criterion.SUM
) -> list[ModelLeaveOneOut]:
    """Each device in turn, over all layers. Raises ValueError as `merge` does."""
    devices = same_devices(layers)
    by_layer = [(layer.weight, leave_one_out(layer, criterion=criterion)) for layer in layers]
    if len(devices) < 2:
        return []
    return [
        _of_model(key, [(weight, found[column]) for weight, found in by_layer]) for column, key in enumerate(devices)
    ]


def _left_out(times: LayerTimes, column: int, criterion: Criterion) -> LeaveOneOut:
    key, others = times.devices[column], [key for key in times.devices if key != times.devices[column]]
    kept = np.arange(len(times.configurations))
    if times.found is not None:
        kept = np.flatnonzero(np.delete(times.found, column, axis=1).any(axis=1) | ~times.found.any(axis=1))
    chosen = judge(times.rows(kept).on(others), criterion=criterion).chosen
    if chosen is None:
        reason = "no configuration has a time on all other devices"
        return LeaveOneOut(times.layer, key, None, None, None, None, reason)
    row = int(kept[chosen])
    config, reason_out = times.configurations[row], times.reason(row, column)
    if reason_out is not None:
        return LeaveOneOut(times.layer, key, config, None, None, None, reason_out)
    time_s = float(times.seconds[row, column])
    best_s = float(np.fmin.reduce(times.seconds[:, column]))
    return LeaveOneOut(times.layer, key, config, time_s, best_s, (time_s - best_s) / best_s, None)


def _of_model(key: str, layers: Sequence[tuple[int, LeaveOneOut]]) -> ModelLeaveOneOut:
    told = [
        (weight, one.time_s, one.best_s) for weight, one in layers if one.time_s is not None and one.best_s is not None
    ]
    estimate_s = sum(weight * time_s for weight, time_s, _ in told)
    best_s = sum(weight * time_s for weight, _, time_s in told)
    return ModelLeaveOneOut(
        device=key,
        estimate_s=estimate_s,
        best_s=best_s,
        regret=(estimate_s - best_s) / best_s if told else None,
        undecided={one.layer: one.reason for _, one in layers if one.reason is not None},
    )
