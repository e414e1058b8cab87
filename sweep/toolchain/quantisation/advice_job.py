"""The job of the stage `layer_advice`: which layers to keep in float32, by what they gain for what they cost.

A layer gains what its quantisation alone does to the network's output, and costs what its kernel takes longer in
float32 than quantised. Costs of less than a hundredth of the quantised network are taken for that: nobody can tell them
apart, and a layer that gains next to nothing is not kept for costing nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.toolchain.quantisation.layer_job import comparing
from sweep.toolchain.quantisation.qdq_network import HEAVY

__all__ = ["LAYER_ADVICE", "advise", "by_gain_for_cost"]

LAYER_ADVICE = "layer_advice.json"
_QUANTISED, _FLOAT = "layer_latencies", "float32_latencies"
_LEAST_COST = 0.01


def advise(
    options: Mapping[str, Any],
    hints: Mapping[str, Any],
    calibrate_dir: str,
    layers: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, Mapping[str, float]],
    totals: Mapping[str, float],
    shares: Sequence[Mapping[str, Sequence[str]]],
    out_dir: str,
) -> dict[str, Any]:
    """Rank the layers of a quantised network, and compare it with the first of them in float32, one after another.

    layers: rows of `layer_errors`. seconds: of each layer, by precision; totals: of all kernels. shares: layers that
    others share a kernel with, by build. Raises QuantiseFailed.
    """
    start = time.perf_counter()
    in_float, quantised = seconds[_FLOAT], seconds[_QUANTISED]
    costs = {name: in_float[name] - quantised[name] for name in quantised if name in in_float}
    ranked = by_gain_for_cost(layers, costs, _LEAST_COST * totals[_QUANTISED])
    with comparing(options, hints, calibrate_dir, out_dir) as (folder, network):
        steps = network.kept_step_by_step(options, ranked)
        told = {
            "ranked": ranked,
            "steps": [{**step, "added_s": _added_s(step["kept"], costs)} for step in steps],
            "float_s": dict(seconds[_FLOAT]),
            "quantised_s": dict(seconds[_QUANTISED]),
            "shares": _joined(shares),
            "float_total_s": totals[_FLOAT],
            "quantised_total_s": totals[_QUANTISED],
        }
        (folder / LAYER_ADVICE).write_text(json.dumps(told, indent=1), encoding="utf-8")
    return {"dir": "/".join(Path(out_dir).parts[-3:]), **told, "layer_advice_s": time.perf_counter() - start}


def by_gain_for_cost(layers: Sequence[Mapping[str, Any]], costs: Mapping[str, float], least_cost_s: float) -> list[str]:
    """Names of layers with weights, the one first that gains most distance a second; without a cost they are last.

    costs: seconds of a layer that is kept, more than quantised. least_cost_s: what is not told from nothing.
    """

    def place(row: Mapping[str, Any]) -> tuple[bool, float, int]:
        gain, cost = float(row["alone_final_cosine_distance"]), costs.get(str(row["layer"]))
        return (True, -gain, row["place"]) if cost is None else (False, -gain / max(cost, least_cost_s), row["place"])

    heavy = [row for row in layers if row["operator"] in HEAVY and row["is_quantised"]]
    known = [row for row in heavy if row["alone_final_cosine_distance"] is not None]
    return [str(row["layer"]) for row in sorted(known, key=place)]


def _added_s(kept: Sequence[str], costs: Mapping[str, float]) -> float | None:
    return sum(costs[name] for name in kept) if all(name in costs for name in kept) else None


def _joined(shares: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for build in shares:
        for name, others in build.items():
            found.setdefault(name, {}).update(dict.fromkeys(others))
    return {name: list(others) for name, others in found.items()}
