"""Computes how few configurations are enough: for k = 1 to N, the mean regret of N devices that share k of them.

Of a layer: k configurations, and each device takes its best of those. A configuration that has no time on a device can
still serve others. With k = 1 that is the overlay by M, with k = N each device has its own best.

Of a model: what one ships is one merged choice (a configuration a layer, one log) for a group of devices. So they are
divided into at most k groups, each group has the overlay by M of its own devices, and what is least is the mean over
the devices of the model's regret. k = 1 is the overlay of the model. Within a group the choice is by M, layer by layer,
and not by the model's regret: it is what `judge` and `merge` give for the group's devices.

`sweep.analysis.overlay.device_partition` says how the division is found, and up to how many devices it is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.analysis.overlay.device_partition import EXACT_DEVICES, Group, partitions
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.merged import same_devices
from sweep.analysis.overlay.metric import Vector, least, summing_order

__all__ = ["KConfigurations", "ModelKConfigurations", "few_for_layer", "few_for_model"]


@dataclass(frozen=True, slots=True, eq=False)
class KConfigurations:
    """The k or fewer configurations of a layer with the least mean regret, and which device takes which."""

    count: int
    """k."""
    rows: Sequence[int]
    """The configurations, at most k."""
    row_of: Sequence[int]
    """The one of them that each device takes."""
    regrets: Vector
    """Of each device, shape (devices,)."""
    mean_regret: float
    is_exact: bool
    """Whether no other k configurations have a lower mean regret."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelKConfigurations:
    """The k or fewer merged choices of a model with the least mean regret, and which device takes which."""

    count: int
    """k."""
    groups: Sequence[Sequence[str]]
    """Keys of the devices that share a merged choice."""
    rows: Sequence[Sequence[int]]
    """By group, then by layer that is not undecided: the configuration."""
    regrets: Vector
    """Of the model on each device, shape (devices,)."""
    mean_regret: float
    is_exact: bool
    """Whether no other division of the devices has a lower mean regret."""
    undecided: Sequence[str]
    """Layers for which some device has no time at all: they are in no sum."""


def few_for_layer(times: LayerTimes, *, exact_devices: int = EXACT_DEVICES) -> list[KConfigurations]:
    """A point for each k from 1 to N, of which none is above the one before.

    Left out is a k that is not enough for every device to have a time.
    """
    layer = _Layer(times)
    order = summing_order(times.devices)

    def cost(group: Group) -> float:
        low = np.fmin.reduce(layer.sums([order[device] for device in group]), initial=np.nan)
        return math.inf if np.isnan(low) else float(low)

    points: list[KConfigurations] = []
    for found in partitions(len(order), cost, exact_devices=exact_devices):
        picked = {row for group in found.groups if (row := layer.choose([order[one] for one in group])) is not None}
        rows = sorted(picked, key=times.configurations.__getitem__)
        row_of = [rows[best] for best in np.nanargmin(times.seconds[rows], axis=0).tolist()]
        regrets = (times.seconds[row_of, range(len(order))] - layer.best_s) / layer.best_s
        points.append(KConfigurations(found.most, rows, row_of, regrets, found.cost / len(order), found.is_exact))
    return points


def few_for_model(layers: Sequence[LayerTimes], *, exact_devices: int = EXACT_DEVICES) -> list[ModelKConfigurations]:
    """A point for each k from 1 to N, of which none is above the one before.

    Left out is a k with which some layer has no choice for some group. Raises ValueError as `merge` does.
    """
    model = _Model(layers)
    points: list[ModelKConfigurations] = []
    for found in partitions(len(model.devices), model.cost, exact_devices=exact_devices) if model.layers else []:
        rows, regrets = [], np.empty(len(model.devices))
        for group in found.groups:
            rows.append(model.choices(group))
            regrets[model.columns(group)] = model.regrets(group, rows[-1])
        groups = [[model.devices[column] for column in model.columns(group)] for group in found.groups]
        mean = found.cost / len(model.devices)
        points.append(ModelKConfigurations(found.most, groups, rows, regrets, mean, found.is_exact, model.undecided))
    return points


class _Layer:
    """A layer whose regrets are summed over one group of devices after another."""

    def __init__(self, times: LayerTimes) -> None:
        self.times = times
        self.best_s: Vector = np.fmin.reduce(times.seconds, axis=0, initial=np.nan)
        # A row a device: some hundred groups are summed, so what they share is computed once, and lies together.
        self._regrets: Vector = np.ascontiguousarray(((times.seconds - self.best_s) / self.best_s).T)

    def sums(self, columns: Sequence[int]) -> Vector:
        """M of each configuration for these devices alone; NaN where one has no time."""
        sums: Vector = self._regrets[columns].sum(axis=0)
        return sums

    def choose(self, columns: Sequence[int]) -> int | None:
        """What `judge` chooses for these devices."""
        return least(self.sums(columns), self._regrets[columns].max(axis=0), self.times.configurations)


class _Model:
    """A model whose choices are merged for one group of devices after another; groups number devices by their keys."""

    def __init__(self, layers: Sequence[LayerTimes]) -> None:
        self.devices = same_devices(layers)
        self._order = summing_order(self.devices)
        known = [_Layer(times) for times in layers]
        self.layers = [layer for layer in known if not np.isnan(layer.best_s).any()]
        self.undecided = [layer.times.layer for layer in known if np.isnan(layer.best_s).any()]
        self._best_s: Vector = np.sum([layer.times.weight * layer.best_s for layer in self.layers], axis=0)

    def columns(self, group: Group) -> list[int]:
        return [self._order[device] for device in group]

    def choices(self, group: Group) -> list[int]:
        """Row of each layer's choice, as far as the first layer that has none."""
        rows: list[int] = []
        for layer in self.layers:
            row = layer.choose(self.columns(group))
            if row is None:
                break
            rows.append(row)
        return rows

    def regrets(self, group: Group, rows: Sequence[int]) -> Vector:
        """Of the model on each device of the group."""
        columns = self.columns(group)
        spent_s = np.zeros(len(columns))
        for layer, row in zip(self.layers, rows, strict=True):
            spent_s += layer.times.weight * layer.times.seconds[row, columns]
        regrets: Vector = (spent_s - self._best_s[columns]) / self._best_s[columns]
        return regrets

    def cost(self, group: Group) -> float:
        rows = self.choices(group)
        return float(self.regrets(group, rows).sum()) if len(rows) == len(self.layers) else math.inf
