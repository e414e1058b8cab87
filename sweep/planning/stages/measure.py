"""The measurement of a network on a device, in its cell's runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.planning.draft import Draft, Drafting, Encoded
from sweep.planning.stage import Stage
from sweep.planning.stages.quantise import network_role
from sweep.study.axis import NOTHING_DESCRIBED, DescribedValues
from sweep.study.cluster.cluster import Device
from sweep.study.precisions import tolerance_of
from sweep.study.runtimes import runtime_of
from sweep.study.spec import Cell
from sweep.study.tuners.own_tuner import source_sha256

__all__ = ["draft", "fixed_s", "measure_options", "work_of"]


def draft(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft:
    """Every cell takes one: of what was built, or, in another runtime than TVM, of the network as it was imported."""
    options = study.once(
        ("measure", cell.device, cell.runtime, cell.precision, *study.taken("measure", cell)),
        lambda: _options(study, cell),
    )
    distributions, source = study.once(("runtime", cell.runtime), lambda: work_of(cell.runtime))
    if cell.is_compiled:
        inputs = {"import": made["import"], "build": made["build"]}
    else:
        inputs = network_role(made)
    return Draft(options, inputs, _label, distributions=distributions, source=source)


def _label(study: Drafting, cell: Cell) -> str:
    if cell.is_compiled:
        what = f"{study.compiled(cell)} {cell.tuner}"
    else:
        what = " ".join([study.network(cell), *study.rounded(cell), cell.runtime])
    return f"measure {what}{study.beside(cell, 'tune', 'build', 'measure')} on {cell.device}"


def measure_options(
    runtime: str,
    precision: str,
    device: Device,
    measure: Mapping[str, Any],
    described: DescribedValues = NOTHING_DESCRIBED,
) -> dict[str, Any]:
    """Options of a measure stage. `measure`: those of the study that are not what they are by default. described: its
    precisions with options.
    """
    return {
        "runtime": runtime,
        "device": device.key,
        "device_target": dict(device.target),
        "threads": device.threads,
        "measure": measure,
        "threshold": _tolerance(runtime, precision, described),
    }


def _tolerance(runtime: str, precision: str, described: DescribedValues) -> float | None:
    own = runtime_of(runtime).tolerance
    return tolerance_of(precision, described) if own is None else own


def _options(study: Drafting, cell: Cell) -> Encoded:
    measure = study.once("measure options", lambda: study.study.measure.options)
    described = study.study.described
    own = measure_options(cell.runtime, cell.precision, study.devices[cell.device], measure, described)
    if study.study.profile is not None:
        own |= study.study.profile.limits(cell.value("variable"))
    return study.options("measure", cell, own)


def work_of(runtime: str) -> tuple[tuple[str, ...], str]:
    """What does the work: a runtime's packages, and the hash of its file where it is of no installed package."""
    return runtime_of(runtime).distributions, str(source_sha256(runtime)) if ":" in runtime else ""


def fixed_s(stage: Stage) -> float:
    """Its repeats take as long as the study says, whatever the network."""
    measure = stage.options["measure"]
    return float((measure["repeat"] + measure["warmup"]) * measure["min_repeat_ms"] / 1e3)
