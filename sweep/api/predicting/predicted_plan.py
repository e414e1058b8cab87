"""What a measured sweep says of a plan: the latencies of its cells, and what a run with a planner would spare."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.formatting import as_duration, as_ms, plural
from sweep.api.predicting.planner_admission import known_cells, learnt_from
from sweep.api.session.claim import default_sweep_dir
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.planning.narrowing import narrowed, without
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.planning.summary import explain
from sweep.running.ledger.ledger import read_ledger
from sweep.running.pruning.predictive_admission import point_of
from sweep.study.axes import compared_within
from sweep.study.cell_values import values_on
from sweep.study.cluster.cluster import Cluster
from sweep.study.planner_options import PlannerOptions
from sweep.study.selection import parse_selection
from sweep.study.spec import Cell, Study

if TYPE_CHECKING:
    from sweep.predict.cells.cell_model import Point

__all__ = ["PredictedCell", "PredictedPlan", "predict_plan", "predicted_plan"]

_NORMAL_99 = 2.326348  # one-sided
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PredictedCell:
    """A compiled cell of a plan."""

    cell: Cell
    latency_ms: float
    low_ms: float
    """The cell takes less with 1 %."""
    high_ms: float
    """The cell takes more with 1 %."""
    is_spared: bool
    """Whether a run with a planner would skip it, if it learnt nothing more."""


@dataclass(frozen=True, slots=True)
class PredictedPlan:
    """The compiled cells of a plan, the fastest of each network and device first."""

    source: str
    known: int
    """Measured cells that this rests on."""
    cells: Sequence[PredictedCell]
    remaining_s: float
    """Estimate for all that is not done."""
    pruned_s: float
    """The same without the cells that would be spared."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "source": self.source,
            "known_cells": self.known,
            "spared": sum(one.is_spared for one in self.cells),
            "estimate_total_s": round(self.remaining_s, 1),
            "pruned_estimate_total_s": round(self.pruned_s, 1),
            "cells": [
                {
                    "cell_id": one.cell.id,
                    "cell_name": one.cell.name,
                    "predicted_latency_ms": one.latency_ms,
                    "predicted_low_ms": one.low_ms,
                    "predicted_high_ms": one.high_ms,
                    "is_spared": one.is_spared,
                }
                for one in self.cells
            ],
        }

    def as_text(self) -> str:
        """For the terminal: the likeliest of each network and device, and the cost with and without a planner."""
        first: dict[Hashable, PredictedCell] = {}
        for one in self.cells:
            first.setdefault((one.cell.model, one.cell.batch, one.cell.device), one)
        likeliest = list(first.values())[:_SHOWN]
        spared = sum(one.is_spared for one in self.cells)
        lines = [f"predicted from {plural(self.known, 'cell')} of {self.source}; likely the fastest:"]
        lines += [
            f"  {one.cell.name}: {as_ms(one.latency_ms)} ms ({as_ms(one.low_ms)} to {as_ms(one.high_ms)} with 98 %)"
            for one in likeliest
        ]
        if len(first) > _SHOWN:
            lines.append(f"  and {len(first) - _SHOWN} others: --json has them")
        of = plural(len(self.cells), "compiled cell")
        told = f"with a planner {spared} of {of} would be spared from the beginning: "
        lines.append(f"{told}{as_duration(self.pruned_s)} in place of {as_duration(self.remaining_s)}")
        return "\n".join(lines)


def predict_plan(
    study: Study, cluster: Cluster, predictor: Path | str, *, out: Path | str | None = None, only: str | None = None
) -> PredictedPlan:
    """What the cells of a measured sweep say of those of a plan: latencies, and what a planner would spare.

    predictor: the sweep directory. `out`, `only`: as of `explain`.

    Raises:
        StudyError: it is no sweep directory, or its cells say too little.
        LedgerError: a ledger is damaged.
    """
    options = replace(study.planner or PlannerOptions(), predictor=str(Path(predictor).absolute()))
    folder = learnt_from(replace(study, planner=options))
    known = [] if folder is None else known_cells(folder)
    sweep_dir = Path(out or default_sweep_dir(study))
    done = read_ledger(sweep_dir).done if SweepDir(sweep_dir).is_sweep else {}
    seconds = {stage_id: stage.seconds for stage_id, stage in done.items()}
    whole = make_plan(study, cluster)
    chosen = whole if only is None else narrowed(whole, parse_selection(only))
    return predicted_plan(chosen, known, str(predictor), options=options, seconds=seconds)


def predicted_plan(
    chosen: Plan,
    known: Sequence[tuple[Point, float]],
    source: str,
    *,
    options: PlannerOptions,
    seconds: Mapping[str, float],
) -> PredictedPlan:
    """Predict the compiled cells of a plan from measured ones with their seconds.

    source: where the measured ones come from. seconds: what stages that are done took, by id.
    Raises StudyError: there are too few measured cells, or they say too little of each other.
    """
    from sweep.predict.cells.cell_model import CellModel
    from sweep.predict.cells.pruning import LEAST_SKILL

    model = CellModel.fit([point for point, _ in known], [value for _, value in known])
    if model is None or model.skill < LEAST_SKILL:
        problem = "has too few measured cells to predict others, or they say too little of each other"
        raise StudyError(problem, key="--predictor", value=f"{source}: {plural(len(known), 'cell')}")
    cells = [planned.cell for planned in chosen.cells if planned.cell.is_compiled]
    expected, deviation = model.predict([point_of(cell) for cell in cells])
    ends = []
    for cell, middle, wide in zip(cells, expected, deviation, strict=True):
        ms, low, high = (1e3 * math.exp(middle + sigmas * wide) for sigmas in (0.0, -_NORMAL_99, _NORMAL_99))
        ends.append((cell, ms, low, high))
    # Which cells keep the limits of an objective is not known before they are measured, and only those spare others
    share = options.prune if chosen.objective is None else 0.0
    predicted = _judged(ends, room=int(share * len(chosen.cells)))
    spared = {one.cell.id for one in predicted if one.is_spared}
    return PredictedPlan(
        source,
        len(known),
        predicted,
        explain(chosen, done=seconds).remaining_s,
        explain(without(chosen, spared), done=seconds).remaining_s,
    )


def _judged(ends: Sequence[tuple[Cell, float, float, float]], room: int) -> list[PredictedCell]:
    """Fastest first; the surest to be slower than the best of their group are spared, as many as may be."""
    group = values_on(compared_within())
    best: defaultdict[Hashable, float] = defaultdict(lambda: math.inf)
    for cell, _, _, high in ends:
        best[group(cell)] = min(best[group(cell)], high)
    hopeless = sorted((best[group(cell)] / low, cell.id) for cell, _, low, _ in ends if low > best[group(cell)])
    spared = {cell_id for _, cell_id in hopeless[:room]}
    cells = [PredictedCell(cell, middle, low, high, cell.id in spared) for cell, middle, low, high in ends]
    return sorted(cells, key=lambda one: one.latency_ms)
