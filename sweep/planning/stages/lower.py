"""The lowering of an imported network to tensor programs for one target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting, Encoded
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage import Stage
from sweep.planning.stages.quantise import network_role, role_given
from sweep.study.layouts import KEEP, is_kept_anyway
from sweep.study.spec import Cell

__all__ = ["arguments", "draft"]

_CHANNELS_LAST = "tflite"
"""The form of networks that have channels last by nature."""


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell that is compiled takes one; of all tuners, and of all devices of one full target, the same."""
    if not cell.is_compiled:
        return None
    network, target = network_role(made), study.full_target(cell)
    key = ("lower", *network.values(), *study.taken("lower", cell), target.text)
    return study.once(key, lambda: _drafted(study, cell, network))


def _drafted(study: Drafting, cell: Cell, network: Mapping[str, str]) -> Draft:
    target = study.full_target(cell)
    has_channels_last = _CHANNELS_LAST in study.models[cell.model].formats
    options = study.once(
        ("lower options", *study.taken("lower", cell), target.text, has_channels_last),
        lambda: _options(study, cell, target, has_channels_last),
    )
    return Draft(options, network, _label)


def _label(study: Drafting, cell: Cell) -> str:
    return f"lower {study.compiled(cell)}{study.whose(cell)}"


def _options(study: Drafting, cell: Cell, target: Encoded, has_channels_last: bool) -> Encoded:
    own = {"target": target.data}
    options = study.options("lower", cell, own)
    is_idle = is_kept_anyway(options.data, cell.opt_level or 0, has_channels_last)
    return study.options("lower", cell, own, without=(KEEP,)) if KEEP in options.data and is_idle else options


def arguments(stage: Stage, inputs: Mapping[str, StageResult], sweep_dir: Path) -> dict[str, Any]:
    """Beside `out_dir`."""
    imported = input_of(inputs, role_given(inputs), ImportResult)
    return {"options": stage.options, "import_dir": str(sweep_dir / imported.folder())}
