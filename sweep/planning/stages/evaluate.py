"""The evaluation of a network on a device: run over labelled samples, nothing timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.planning.draft import TVM_PACKAGES, Draft, Drafting, Encoded
from sweep.planning.results.evaluate_result import Evaluation
from sweep.planning.stage_kind import Place, StageKind
from sweep.planning.stages.measure import work_of
from sweep.planning.stages.quantise import ROLE, network_role
from sweep.study.evaluate_options import METRICS, Evaluate
from sweep.study.spec import Cell
from sweep.study.usual_cells import is_usual

__all__ = ["EVALUATE", "KIND", "draft"]

EVALUATE = "evaluate"
"""The kind."""


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """A cell of a study that evaluates takes one, in its own runtime and on its own device."""
    wanted = study.study.evaluate
    if wanted is None or not wanted.takes(cell.model) or not is_usual(cell):
        return None  # another cell of the same network answers the samples
    options = study.once(
        (EVALUATE, cell.device, cell.runtime, *study.taken(EVALUATE, cell)), lambda: _options(study, cell, wanted)
    )
    distributions, source = study.once((EVALUATE, "work", cell.runtime), lambda: _work(cell.runtime, wanted))
    if cell.is_compiled:
        inputs = {"import": made["import"], "build": made["build"]}
        what = f"{study.compiled(cell)} {cell.tuner}"
    else:
        inputs = network_role(made)
        what = " ".join([study.network(cell), *study.rounded(cell), cell.runtime])
    label = f"evaluate {what}{study.beside(cell, 'tune', 'build', EVALUATE)} on {cell.device}"
    hints = {"files": dict(wanted.dataset.files), "dataset": wanted.dataset.name}
    return Draft(options, inputs, label, hints, distributions=distributions, source=source)


def _options(study: Drafting, cell: Cell, wanted: Evaluate) -> Encoded:
    device = study.devices[cell.device]
    own: dict[str, Any] = {
        "runtime": cell.runtime,
        "device": device.key,
        "device_target": dict(device.target),
        "threads": device.threads,
        "dataset": dict(wanted.dataset.options),
        "split": wanted.split,
        # The seed decides which samples are drawn, and nothing where none are left out
        **({} if wanted.metrics == METRICS else {"metrics": list(wanted.metrics)}),
        **({} if wanted.samples is None else {"samples": wanted.samples, "seed": study.study.seed}),
    }
    return study.options(EVALUATE, cell, own)


def _work(runtime: str, wanted: Evaluate) -> tuple[tuple[str, ...], str]:
    packages, source = work_of(runtime)
    return tuple(dict.fromkeys((*packages, *wanted.dataset.distributions))), source


KIND = StageKind(
    name=EVALUATE,
    inputs={"import": "import", "build": "build", ROLE: "quantise"},
    place=Place.DEVICE,
    result=Evaluation,
    draft=draft,
    job="sweep.engine.evaluate_job:evaluate",
    error_class="EvaluateFailed",
    distributions=TVM_PACKAGES,
    cost_s=5.0,
    is_goal=True,
)
