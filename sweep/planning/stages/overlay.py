"""The stages of an overlay. No cell of a study takes them: `sweep overlay --measure` plans them over tuned cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Encoded
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage

__all__ = ["BUILD", "LAYER", "NETWORK", "build", "build_arguments", "layer", "network"]

LAYER = "overlay_layer"
"""The kind of candidates of one layer on one device."""
BUILD = "overlay_build"
"""The kind of a network that is built with the schedules of a log."""
NETWORK = "overlay_network"
"""The kind of two such builds that take turns on a device."""


def layer(
    device: str,
    target: Mapping[str, Any],
    workload: str,
    candidates: Sequence[str],
    *,
    in_turns: bool,
    label: str,
    hints: Mapping[str, Any],
) -> Draft:
    """Candidates of one workload, by their traces, are built for a device and timed there, each alone or all in turns.

    hints: `records`, for each candidate the lines of its workload and its record in a native log; `linker`; `best_s`,
    the device's best so far, None where there is none.
    """
    options = {
        "device": device,
        "target": dict(target),
        "workload": workload,
        "candidates": list(candidates),
        "in_turns": in_turns,
    }
    return Draft(Encoded(options), {}, label, hints)


def build(target: Mapping[str, Any], log: str, *, lower: str, label: str, hints: Mapping[str, Any]) -> Draft:
    """A lowered network is built with the schedules of a native log. log: what tells one log from another.

    hints: `log`, the folder where it lies, and `linker`.
    """
    return Draft(Encoded({"target": dict(target), "log": log}), {"lower": lower}, label, hints)


def build_arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """What the job of a build is given, beside `out_dir`."""
    return {
        "options": {"target": stage.options["target"]},
        "lower_dir": str(sweep_dir / input_of(inputs, "lower", LowerResult).folder()),
        "linker": stage.hints.get("linker"),
        "records_dir": str(stage.hints["log"]),
    }


def network(options: Mapping[str, Any], inputs: Mapping[str, str], label: str) -> Draft:
    """Builds of a network are measured on a device in turns, a block each in every round.

    options: those of a measurement, and `rounds`, how many of each build by its role. inputs: `import` and the builds.
    """
    return Draft(Encoded(dict(options)), inputs, label)
