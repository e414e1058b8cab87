"""The build of a lowered network, with the schedules of a tuner where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Stage
from sweep.study.spec import Cell

__all__ = ["arguments", "draft"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A compiled cell takes one."""
    if not cell.is_compiled:
        return None
    target = study.full_target(cell)
    options = study.once(
        ("build", target.text, *study.taken("build", cell)),
        lambda: study.options("build", cell, {"target": target.data}),
    )
    hints = study.once(("build hints", cell.device), lambda: {"linker": study.devices[cell.device].linker})
    inputs = {role: made[role] for role in ("lower", "tune") if role in made}
    return Draft(options, inputs, _label, hints)


def _label(study: Drafting, cell: Cell) -> str:
    beside = study.beside(cell, "tune", "build")
    return f"build {study.compiled(cell)} {cell.tuner}{beside}{study.whose(cell)}"


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`. `records_dir` is None for a network that was not tuned."""
    records = str(sweep_dir / input_of(inputs, "tune", TuneResult).records_dir) if "tune" in inputs else None
    return {
        "options": stage.options,
        "lower_dir": str(sweep_dir / input_of(inputs, "lower", LowerResult).folder()),
        "linker": stage.hints.get("linker"),
        "records_dir": records,
    }
