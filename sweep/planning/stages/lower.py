"""The lowering of an imported network to tensor programs for one target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.planning.stages.quantise import network_role, role_given
from sweep.study.spec import Cell

__all__ = ["arguments", "draft"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell that is compiled takes one; of all tuners, and of all devices of one full target, the same."""
    if not cell.is_compiled:
        return None
    network, target = network_role(made), study.full_target(cell)
    key = ("lower", *network.values(), *study.taken("lower", cell), target.text)
    return study.once(key, lambda: _drafted(study, cell, network))


def _drafted(study: Drafting, cell: Cell, network: Mapping[str, str]) -> Draft:
    target = study.full_target(cell)
    options = study.once(
        ("lower options", *study.taken("lower", cell), target.text),
        lambda: study.options("lower", cell, {"target": target.data}),
    )
    return Draft(options, network, f"lower {study.compiled(cell)}{study.whose(cell)}")


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    imported = input_of(inputs, role_given(inputs), ImportResult)
    return {"options": stage.options, "import_dir": str(sweep_dir / imported.folder())}
