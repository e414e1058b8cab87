"""Merges one configuration a layer into a model, and sums what the model costs each device against its own best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import Judgement, Vector

__all__ = ["Merged", "merge", "same_devices"]


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """The choices of all layers put together.

    The times are sums over layers of weight times the layer's time. They are estimates: what runs between the layers is
    not in them, and caches are as each layer was measured, alone.
    """

    devices: Sequence[str]
    layers: Sequence[Judgement]
    estimate_s: Vector
    """Shape (devices,): of the layers for which something was chosen."""
    best_s: Vector
    """Shape (devices,): the same layers, each with what is best on that device."""
    undecided: Sequence[str]
    """Layers for which nothing was chosen: they are in neither sum, and a build leaves them untuned."""

    @property
    def regrets(self) -> Vector:
        """(estimate - best) / best, shape (devices,); NaN where nothing was chosen for any layer."""
        regrets: Vector = (self.estimate_s - self.best_s) / np.where(self.best_s == 0, np.nan, self.best_s)
        return regrets

    @property
    def mean_regret(self) -> float:
        """Mean of the regrets over the devices."""
        return float(self.regrets.mean())


def merge(layers: Sequence[Judgement]) -> Merged:
    """Put the choices of layers together. Raises ValueError for none, or where their devices differ."""
    devices = same_devices([layer.times for layer in layers])
    estimate_s, best_s = np.zeros(len(devices)), np.zeros(len(devices))
    for layer in layers:
        if layer.chosen is not None:
            estimate_s += layer.times.weight * layer.times.seconds[layer.chosen]
            best_s += layer.times.weight * layer.best_s
    return Merged(
        devices=devices,
        layers=layers,
        estimate_s=estimate_s,
        best_s=best_s,
        undecided=[layer.times.layer for layer in layers if layer.chosen is None],
    )


def same_devices(layers: Sequence[LayerTimes]) -> list[str]:
    """The devices of all layers. Raises ValueError for no layer, or where they or their order differ."""
    if len({tuple(layer.devices) for layer in layers}) != 1:
        raise ValueError("layers of one model have the same devices in the same order")
    return list(layers[0].devices)
