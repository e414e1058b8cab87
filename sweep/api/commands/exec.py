"""A compiled cell, a bundle of one, or a tuning log that is compiled first, measured on another device."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sweep.analysis.formatting import as_bytes, as_latency
from sweep.analysis.rows.measurements import repeats_of
from sweep.analysis.rows.unchecked import output_check_of
from sweep.analysis.statistics import summarise
from sweep.api.bundles.laid_out import laid_out
from sweep.api.bundles.reading import is_bundle
from sweep.api.inference.own_inputs import OwnInputs
from sweep.api.inference.top_classes import RankedClass, read_labels, require_a_label_each, top_classes
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import check_fit, device_of, perform_stage
from sweep.errors import StudyError
from sweep.files.line_log import append_line
from sweep.files.maker import loads
from sweep.files.npz import load_arrays, save_arrays
from sweep.files.output_place import require_place
from sweep.files.sweep_dir import OUTPUTS_FILE, SweepDir
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult, LowerResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.quantising import QuantiseResult
from sweep.planning.results.stage_result import StageResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stages.measure import measure_options
from sweep.planning.stages.quantise import ROLE
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import described_in, read_plan
from sweep.running.resuming import damage_of
from sweep.study.axes import axis_of, stage_options
from sweep.study.axis import DescribedValues
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.spec import NATIVE, TVM, Cell, Measure, Target

__all__ = ["Executed", "execute"]

_ALLOWED = "a folder of artifacts/build or of records below a sweep directory, or a bundle of `sweep export`"


@dataclass(frozen=True, slots=True)
class Executed:
    """The result of `sweep exec`: what was measured, where, and the summary of its repeats."""

    what: str
    device: str
    cell: str
    """The cell that it was made for."""
    result: Measurement
    artifact: Path
    classes: tuple[RankedClass, ...] = ()
    """The first ones of the first output, of inputs of a person's own."""
    outputs: Path | None = None
    """Where the outputs of these were written."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        summary = summarise(repeats_of(self.result))
        return {
            "what": self.what,
            "device": self.device,
            "cell": self.cell,
            "artifact": str(self.artifact),
            "latency_ms_median": summary.median * 1e3,
            "run_secs": list(self.result.run_secs),
            "number": self.result.number,
            "output_check": output_check_of(self.result),
            "output_max_abs_diff": self.result.output_max_abs_diff,
            "conditions": self.result.conditions,
            "tainted": list(self.result.disturbances),
            "top": [asdict(each) for each in self.classes],
            "outputs": None if self.outputs is None else str(self.outputs),
        }

    def as_text(self) -> str:
        """For people."""
        summary = summarise(repeats_of(self.result))
        difference = self.result.output_max_abs_diff
        lines = [
            f"{self.cell}, on {self.device}: {as_latency(summary)}",
            f"output: {'nothing to compare it with' if difference is None else f'differs by at most {difference:.2g}'}",
            f"peak memory: {as_bytes(self.result.peak_memory_bytes)}",
            f"library: {self.artifact}",
            *(f"outputs: {path}" for path in (self.outputs,) if path is not None),
            *(f"{place}. {each.as_text()}" for place, each in enumerate(self.classes, 1)),
        ]
        return "\n".join([*lines, *(f"disturbed: {reason}" for reason in self.result.disturbances)])


def execute(
    what: Path | str,
    key: str,
    cluster: Cluster,
    *,
    measure: Measure | None = None,
    own: OwnInputs | None = None,
    output: Path | str | None = None,
    labels: Path | str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Executed:
    """Measure an artifact, or compile a log for the device and measure that; kept in `exec.jsonl` of its sweep.

    what: `artifacts/build/ID`, or `records/TARGET/TUNER-DEVICE`, of a sweep directory, or a bundle, of which nothing is
    kept. The output is compared with the expected one of the sweep's own import, or of the bundle. `say` is told what
    is loaded, and who made it.

    own: inputs to run it on instead of the import's; the outputs are then compared with nothing, and nothing is kept.
    output: an .npz file for the outputs. labels: a file with the name of each class, a line each, for the first five.

    Raises:
        StudyError: there is no such thing or device, or the code cannot run on it.
        SweepError: compiling or measuring failed.
    """
    texts = [] if labels is None else read_labels(Path(labels))
    if output is not None:
        require_place(Path(output), "--output")
    device = device_of(cluster, key, "--key")
    alone = replace(cluster, devices=(device,), engine="inline")
    place = None if output is None else Path(output)
    if is_bundle(Path(what)):
        say(f"loads the library of the bundle {what}; SHA-256 as in its manifest")
        with laid_out(Path(what)) as bundle:
            check_fit(bundle.manifest["target"], device, "--key")
            usual = axis_of("precision").default  # its own tolerance is what it was checked with
            options = measure_options(TVM, str(usual), device, (measure or Measure()).options)
            options |= {"threshold": bundle.manifest["tolerance"]}
            library = Path(what) if Path(what).suffix == ".zip" else Path(what) / bundle.manifest["library"]
            inputs = {entry["name"]: entry for entry in bundle.manifest["inputs"]}
            asked = _asked(own, place, texts, inputs, bundle.imported)
            cell = bundle.manifest["chosen"]["cell"]
            task = _Task(bundle.sweep_dir, bundle.imported, bundle.built, options, cell, library)
            return _executed(str(what), task, alone, asked)
    made = _find(Path(what))
    _check_files(made, Path(what))
    say(_loads(made))
    if isinstance(made.of, BuildResult):
        check_fit(json.loads(made.of.target_json or "{}"), device, "--key")
    inputs = dict(made.imported.inputs) if isinstance(made.imported, ImportResult) else {}
    asked = _asked(own, place, texts, inputs, made.imported)
    with EngineSession(alone, made.sweep_dir, is_holder=False) as engine:
        built = made.of if isinstance(made.of, BuildResult) else _compile(engine, made, made.of, device)
        sampling = (measure or Measure()).options
        options = measure_options(TVM, made.cell.precision, device, sampling, made.described)
    library = made.sweep_dir / built.folder() / "lib.so"
    task = _Task(made.sweep_dir, made.imported, built, options, made.cell.name, library)
    done = _executed(str(what), task, alone, asked)
    if own is not None:
        return done
    append_line(SweepDir(made.sweep_dir).executions, json.dumps({"t": time.time(), **done.as_dict()}))
    return done


@dataclass(frozen=True, slots=True)
class _Made:
    """Something that a sweep has made, with the first cell that it is of."""

    sweep_dir: Path
    of: BuildResult | TuneResult
    cell: Cell
    imported: StageResult
    network: Mapping[str, StageResult]
    """What is lowered, by its role: quantised, or as imported."""
    described: DescribedValues
    """What the study says of values by writing them."""
    host: object
    """Of its last run, as the ledger has it."""


def _check_files(made: _Made, what: Path) -> None:
    for result in (made.of, made.imported):
        names = COMPARED if result is made.imported and isinstance(made.of, BuildResult) else None
        if (reason := damage_of(result, made.sweep_dir, is_read=True, names=names)) is not None:
            allowed = "what the ledger has; the same `sweep run` makes it again"
            raise StudyError(f"rests on a damaged file: {reason}", key="WHAT", value=str(what), allowed=allowed)


def _loads(made: _Made) -> str:
    files = made.sweep_dir / (made.of.files_dir or "")
    what = f"{files}/lib.so" if isinstance(made.of, BuildResult) else f"what is compiled with the schedules of {files}"
    has_checksums = all(result.files is not None for result in (made.of, made.imported) if result.dir is not None)
    return loads(what, made.sweep_dir, made.host, has_checksums=has_checksums)


def _find(what: Path) -> _Made:
    folder = (what.parent if what.name == "lib.so" else what).resolve()
    sweep_dir = folder.parent.parent.parent
    if not SweepDir(sweep_dir).is_sweep or not folder.is_dir():
        raise StudyError("is nothing that can be measured", key="WHAT", value=str(what), allowed=_ALLOWED)
    relative = folder.relative_to(sweep_dir).as_posix()
    state = read_ledger(sweep_dir)
    done = state.done
    plan = read_plan(sweep_dir)
    for cell in plan["cells"]:
        results = [done[stage].result for stage in cell["stages"] if stage in done]
        imported = next((result for result in results if isinstance(result, ImportResult)), ImportResult())
        for result in results:
            if isinstance(result, BuildResult | TuneResult) and result.files_dir == relative:
                quantised = next((one for one in results if isinstance(one, QuantiseResult)), None)
                network = {"import": imported} if quantised is None else {ROLE: quantised}
                described, host = described_in(plan), state.conditions.get("host")
                return _Made(sweep_dir, result, Cell.from_json(cell), imported, network, described, host)
    raise StudyError("is of no cell of its sweep", key="WHAT", value=str(what), allowed=_ALLOWED)


def _compile(engine: Engine, made: _Made, records: TuneResult, device: Device) -> BuildResult:
    """Lower the network for the device's own target and build it with the log's schedules."""
    target = Target(NATIVE, {"kind": NATIVE}).on(device)
    options = stage_options("lower", made.cell.axes, made.described) | {"target": target}
    lowered = perform_stage(engine, "lower", LowerResult, options, made.network, device)
    inputs = {"lower": lowered, "tune": records}
    options = {"target": target, "records": records.records_dir}
    return perform_stage(engine, "build", BuildResult, options, inputs, device)


@dataclass(frozen=True, slots=True)
class _Task:
    """A library to be measured, in the folder that has it and its import."""

    sweep_dir: Path
    imported: StageResult
    built: BuildResult
    options: Mapping[str, Any]
    cell: str
    """That it was made for."""
    library: Path
    """As it is told; where it is measured it may lie elsewhere."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a person asks beside the measurement, which fits the network."""

    own: Mapping[str, Any] | None
    """Arrays to run it on, by input."""
    output: Path | None
    """An .npz file for the outputs."""
    labels: Sequence[str]
    """The names of the classes."""


def _asked(
    own: OwnInputs | None,
    output: Path | None,
    labels: Sequence[str],
    inputs: Mapping[str, Mapping[str, Any]],
    imported: StageResult,
) -> _Asked:
    """Hold it against the network, before anything is compiled or measured. Raises StudyError where it does not fit."""
    outputs = imported.outputs if isinstance(imported, ImportResult) else ()
    if labels and outputs and {"shape", "dtype"} <= outputs[0].keys():
        require_a_label_each(labels, outputs[0]["shape"], outputs[0]["dtype"])
    return _Asked(None if own is None else own.arrays(inputs), output, labels)


def _executed(what: str, task: _Task, alone: Cluster, asked: _Asked) -> Executed:
    """Measure it on the only device of `alone`, on inputs of a person's own where there are some."""
    (device,), own, labels = alone.devices, asked.own, asked.labels
    with tempfile.TemporaryDirectory(prefix="sweep-exec-") as scratch:
        kept = Path(scratch) / "outputs.npz"
        options = {**task.options, "measure": {**task.options["measure"], "outputs_file": str(kept)}}
        if own is not None:
            task = _with_inputs(task, own, Path(scratch))
        with EngineSession(alone, task.sweep_dir, is_holder=False) as engine:
            measured = _measure(engine, options, task.imported, task.built, device)
        if asked.output is not None:
            shutil.copyfile(kept, asked.output)
        given = list(load_arrays(kept).values())
    classes = top_classes(given[0], labels) if given and (own is not None or labels) else []
    return Executed(what, device.key, task.cell, measured, task.library, tuple(classes), asked.output)


def _with_inputs(task: _Task, arrays: Mapping[str, Any], scratch: Path) -> _Task:
    """The same laid out in a folder of its own, with these inputs, and with nothing that is expected of it."""
    imported, built = replace(task.imported, files=None), replace(task.built, files=None)
    if isinstance(imported, ImportResult):
        imported = replace(imported, reference=False)
    shutil.copytree(task.sweep_dir / built.folder(), scratch / built.folder())
    (scratch / imported.folder()).mkdir(parents=True)
    save_arrays(scratch / imported.folder() / "inputs.npz", arrays)
    names = task.sweep_dir / imported.folder() / OUTPUTS_FILE
    if names.is_file():
        shutil.copyfile(names, scratch / imported.folder() / OUTPUTS_FILE)
    return replace(task, sweep_dir=scratch, imported=imported, built=built)


def _measure(
    engine: Engine, options: Mapping[str, Any], imported: StageResult, built: BuildResult, device: Device
) -> Measurement:
    return perform_stage(engine, "measure", Measurement, options, {"import": imported, "build": built}, device)
