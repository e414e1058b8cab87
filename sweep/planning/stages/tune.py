"""The tuning of a lowered network by one tuner on one device. Those of one tuner, target and device form a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.files.sweep_dir import records_folder
from sweep.planning.draft import Draft, Drafting, Encoded
from sweep.planning.stage import Stage
from sweep.planning.stages.measure import measure_options
from sweep.planning.trial_limits import TRIAL_S, trials_at_most
from sweep.study.spec import Cell

__all__ = ["TRIAL_S", "draft", "units", "with_members"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A compiled cell takes one, but with a tuner that does not tune."""
    if not cell.is_compiled or study.tuners[cell.tuner].is_untuned:
        return None
    target = study.full_target(cell)
    options, hints = study.once(
        ("tune", cell.tuner, cell.device, target.text, *study.taken("tune", cell)),
        lambda: _options_and_hints(study, cell, target),
    )
    network = study.once(
        ("tune network", cell.device, cell.precision, *study.taken("measure", cell)), lambda: _network(study, cell)
    )
    hinted = study.once(("tune hints", id(hints), id(network)), lambda: {**hints, "network": network})
    return Draft(options, {"lower": made["lower"]}, _label, hinted)


def _label(study: Drafting, cell: Cell) -> str:
    return f"tune {study.compiled(cell)} {cell.tuner}{study.beside(cell, 'tune')} on {cell.device}"


def _options_and_hints(study: Drafting, cell: Cell, target: Encoded) -> tuple[Encoded, Mapping[str, Any]]:
    tuner = study.tuners[cell.tuner]
    own = {
        "tuner": {"name": tuner.name, "options": dict(tuner.options)},
        "device": cell.device,
        "target": target.data,
        "seed": study.study.seed,
    }
    hints = {
        "tuner": tuner.label,
        "tuner_key": f"{target.hash}/{tuner.label}-{cell.device}",
        "records": records_folder(target.hash, f"{tuner.label}-{cell.device}"),
        "linker": study.devices[cell.device].linker,
    }
    return study.options("tune", cell, own), hints


def _network(study: Drafting, cell: Cell) -> Mapping[str, Any]:
    """How the network is measured while it is tuned: as its cells are, but by fewer values."""
    own = measure_options(
        cell.runtime, cell.precision, study.devices[cell.device], study.study.measure.options, study.study.described
    )
    return {key: own[key] for key in ("measure", "threads", "threshold")}


def with_members(stages: Sequence[Stage]) -> list[Stage]:
    """All tune stages of a plan, each with the hint of how many there are in its pool: `members`."""
    members = Counter(stage.hints["records"] for stage in stages)
    hints: dict[int, Mapping[str, Any]] = {}
    for stage in stages:
        if id(stage.hints) not in hints:  # which many stages share
            hints[id(stage.hints)] = {**stage.hints, "members": members[stage.hints["records"]]}
    return [_hinted(stage, hints[id(stage.hints)]) for stage in stages]


def with_hint(stage: Stage, members: int) -> Stage:
    """A tune stage that has so many in its pool."""
    return _hinted(stage, {**stage.hints, "members": members})


def _hinted(one: Stage, hints: Mapping[str, Any]) -> Stage:
    return Stage(one.id, one.kind, one.options, hints, one.inputs, one.label, one.versions)


def units(stage: Stage) -> float:
    """Its cost is by the trial."""
    return float(trials_at_most(stage))
