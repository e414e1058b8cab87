"""The whole overlay: the choice of each layer, the merged model and its cost on each device, as text and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.analysis.formatting import as_ms, as_percent, plural, significant
from sweep.analysis.overlay.csv_tables import detail_rows, reasons_in_words
from sweep.analysis.overlay.k_configurations import ModelKConfigurations, few_for_model
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.leave_one_out import ModelLeaveOneOut, leave_one_out_of_model
from sweep.analysis.overlay.merged import Merged, merge
from sweep.analysis.overlay.metric import Criterion, Judgement, judge
from sweep.analysis.overlay.network import NetworkOnDevice

__all__ = ["Overlay", "overlay_of"]

_LAYERS_TOLD = 40
_NAME_WIDTH = 48


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One configuration of each layer for several devices."""

    layers: Sequence[Judgement]
    merged: Merged
    few: Sequence[ModelKConfigurations]
    left_out: Sequence[ModelLeaveOneOut]
    networks: Sequence[NetworkOnDevice] = ()
    """The whole network, measured; empty where it was not."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: no number is NaN."""
        return {
            "devices": list(self.merged.devices),
            "layers": [row for layer in self.layers for row in detail_rows(layer)],
            "model": {
                "estimate_ms": dict(zip(self.merged.devices, (self.merged.estimate_s * 1e3).tolist(), strict=True)),
                "best_ms": dict(zip(self.merged.devices, (self.merged.best_s * 1e3).tolist(), strict=True)),
                "regret": dict(zip(self.merged.devices, map(_known, self.merged.regrets), strict=True)),
                "undecided": list(self.merged.undecided),
            },
            "few": [
                {
                    "configurations": one.count,
                    "groups": [list(group) for group in one.groups],
                    "mean_regret": one.mean_regret,
                    "is_exact": one.is_exact,
                }
                for one in self.few
            ],
            "leave_one_out": [
                {"device": one.device, "regret": one.regret, "undecided": dict(one.undecided)} for one in self.left_out
            ],
            "networks": [one.as_row() for one in self.networks],
        }

    def as_text(self) -> str:
        """For the terminal."""
        lines = [f"overlay of {plural(len(self.layers), 'layer')} over {', '.join(self.merged.devices)}", ""]
        width = min(_NAME_WIDTH, max(len(layer.times.layer) for layer in self.layers))
        lines.append(f"{'layer':<{width}}  {'M':>8}  {'worst':>7}  {'of':>6}  config")
        lines += [_layer_line(layer, width) for layer in self.layers[:_LAYERS_TOLD]]
        if len(self.layers) > _LAYERS_TOLD:
            lines.append(f"and {len(self.layers) - _LAYERS_TOLD} more: see overlay.csv")
        lines += ["", *self._model_lines()]
        if self.networks:
            lines += ["the network built from the merged log, measured in turns with each device's own best"]
            lines += [f"  {one.as_text()}" for one in self.networks]
        return "\n".join(lines)

    def _model_lines(self) -> list[str]:
        merged = self.merged
        if len(merged.undecided) == len(self.layers):
            return ["no layer has a configuration with a time on every device"]
        told = [
            f"{key}: {as_ms(estimate * 1e3)} ms, its own best {as_ms(best * 1e3)} ms ({as_percent(regret)} more)"
            for key, estimate, best, regret in zip(
                merged.devices, merged.estimate_s, merged.best_s, merged.regrets, strict=True
            )
        ]
        lines = ["all layers together (weight x time)", *(f"  {line}" for line in told)]
        if merged.undecided:
            lines.append(f"  without {plural(len(merged.undecided), 'layer')} without a choice")
        if len(self.few) > 1:
            lines += ["how many configurations for these devices, with the mean regret"]
            lines += [f"  {one.count}: {as_percent(one.mean_regret)}, {_grouped(one.groups)}" for one in self.few]
        known = [one for one in self.left_out if one.regret is not None]
        if known:
            lines.append("chosen without a device, what that device loses")
            lines += [f"  {one.device}: {as_percent(one.regret or 0.0)}" for one in known]
        return lines


def overlay_of(
    layers: Sequence[LayerTimes],
    *,
    best: int | None = None,
    weights: Mapping[str, float] | None = None,
    criterion: Criterion = Criterion.SUM,
) -> Overlay:
    """Choose for each layer and put the choices together.

    best: candidates are the union of so many of each device's fastest; None: all that were measured.
    Raises ValueError for no layer, and for weights that do not fit the devices.
    """
    candidates = [layer if best is None else layer.best_of_each(best) for layer in layers]
    judged = [judge(layer, weights=weights, criterion=criterion) for layer in candidates]
    return Overlay(
        layers=judged,
        merged=merge(judged),
        few=few_for_model(candidates),
        left_out=leave_one_out_of_model(candidates, criterion=criterion),
    )


def _layer_line(layer: Judgement, width: int) -> str:
    name = layer.times.layer if len(layer.times.layer) <= width else f"{layer.times.layer[: width - 3]}..."
    if layer.chosen is None:
        return f"{name:<{width}}  {'-':>8}  {'-':>7}  {layer.candidates:>6}  none: {reasons_in_words(layer)}"
    metric, worst = significant(float(layer.metric[layer.chosen])), as_percent(float(layer.largest[layer.chosen]))
    return f"{name:<{width}}  {metric:>8}  {worst:>7}  {layer.candidates:>6}  {layer.config}"


def _grouped(groups: Sequence[Sequence[str]]) -> str:
    return " | ".join(", ".join(group) for group in groups)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
