"""The stages that the cells of a study take, each made once, with what its kind depends on and its id.

An id is a hash of the stage's kind, its options, the ids of its inputs and the versions of what does the work. Options
are encoded once for each combination of axis values that they depend on, and not for each cell, so that 100,000 cells
take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from sweep.errors import StudyError
from sweep.files.sweep_dir import records_folder
from sweep.planning.fingerprint import canonical_json, fingerprint, hashed
from sweep.planning.stage import KINDS, Stage
from sweep.planning.versions import import_versions, versions_of
from sweep.study.axes import all_axes, axes_under, stage_options, unusual
from sweep.study.cluster.cluster import Cluster
from sweep.study.importers.importer_registry import UNNAMED, importer_named
from sweep.study.precisions import tolerance_of
from sweep.study.spec import NATIVE, TVM, Cell, Study

__all__ = ["SharedStages"]

_NO_HINTS: Mapping[str, Any] = {}  # plain: stages are pickled


class SharedStages:
    """Makes them."""

    def __init__(self, study: Study, cluster: Cluster) -> None:
        self._study = study
        self._models = {model.name: model for model in study.models}
        self._tuners = {tuner.label: tuner for tuner in study.tuners}
        self._devices = {device.key: device for device in cluster.devices}
        self._targets = {target.name: target for target in study.targets}
        self._full_targets: dict[tuple[str, str], _Options] = {}
        self._options: dict[Hashable, _Options] = {}
        self._ids: dict[Hashable, str] = {}
        self._versions = {
            (kind, runtime): canonical_json(versions_of(kind, runtime))
            for kind in KINDS
            for runtime in dict.fromkeys((TVM, *study.runtimes))
        }
        self._importers = {model.importer: importer_named(model.importer) for model in study.models}
        for name, importer in self._importers.items():
            self._versions["import", name] = canonical_json(import_versions(importer))
        self._measure = study.measure.options
        self._axes: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for axis in all_axes():
            if axis.stage and axis.stage not in KINDS:
                problem = f"is taken by {axis.stage}, which is no kind of stage"
                raise StudyError(problem, key="axes", value=axis.name, allowed=", ".join(KINDS))
            if axis.stage:
                self._axes[axis.stage].append(axis.name)
        self.by_id: dict[str, Stage] = {}
        """Inputs before what takes them."""

    def of(self, cell: Cell) -> tuple[str, ...]:
        """Ids of the stages that a cell takes, the stages made where they are new."""
        imported = self._import(cell)
        if not cell.is_compiled:
            return imported, self._measured(cell, (imported,))
        lowered = self._lower(cell, imported)
        tuned = () if self._tuners[cell.tuner].is_untuned else (self._tune(cell, lowered),)
        built = self._build(cell, (lowered, *tuned))
        return imported, lowered, *tuned, built, self._measured(cell, (imported, built))

    # -- one kind each ------------------------------------------------------------------------------------------------

    def _import(self, cell: Cell) -> str:
        key = ("import", cell.model, *self._taken("import", cell))
        if key in self._ids:
            return self._ids[key]
        model = self._models[cell.model]
        own = {
            "sha256": model.sha256,
            "inputs": {name: list(shape) for name, shape in model.inputs.items()},
            "seed": self._study.seed,
            **({} if model.importer == UNNAMED else {"importer": model.importer}),
            **model.options,
        }
        options = _with_axes("import", cell, own)
        loader = self._importers[model.importer].loader
        hints = {"path": str(model.path), "name": model.name, "source": model.source, "loader": loader}
        stage = Stage("", "import", options, hints, (), f"import {_network(cell)}")
        return self._keep(key, self._add(stage, canonical_json(options), model.importer))

    def _lower(self, cell: Cell, imported: str) -> str:
        target = self._full_target(cell)
        key = ("lower", imported, *self._taken("lower", cell), target.text)
        if key in self._ids:
            return self._ids[key]
        options = self._once(
            key[:1] + key[2:],
            lambda: _with_axes("lower", cell, {"target": target.data}),
        )
        label = f"lower {self._compiled(cell)}{self._where(cell)}"
        stage = Stage("", "lower", options.data, _NO_HINTS, (imported,), label)
        return self._keep(key, self._add(stage, options.text))

    def _tune(self, cell: Cell, lowered: str) -> str:
        target = self._full_target(cell)
        tuner = self._tuners[cell.tuner]
        options = self._once(
            ("tune", cell.tuner, cell.device, target.text, *self._taken("tune", cell)),
            lambda: _with_axes(
                "tune",
                cell,
                {
                    "tuner": {"name": tuner.name, "options": dict(tuner.options)},
                    "device": cell.device,
                    "target": target.data,
                    "seed": self._study.seed,
                },
            ),
        )
        hints = self._once(
            ("tune hints", cell.tuner, cell.device, target.text),
            lambda: {
                "tuner": tuner.label,
                "tuner_key": f"{target.hash}/{tuner.label}-{cell.device}",
                "records": records_folder(target.hash, f"{tuner.label}-{cell.device}"),
                "members": 0,
                "linker": self._devices[cell.device].linker,
            },
        )
        label = f"tune {self._compiled(cell)} {cell.tuner}{_beside(cell, 'tune')} on {cell.device}"
        before = len(self.by_id)
        stage_id = self._add(Stage("", "tune", options.data, hints.data, (lowered,), label), options.text)
        hints.data["members"] += len(self.by_id) - before
        return stage_id

    def _build(self, cell: Cell, inputs: tuple[str, ...]) -> str:
        target = self._full_target(cell)
        options = self._once(
            ("build", target.text, *self._taken("build", cell)),
            lambda: _with_axes("build", cell, {"target": target.data}),
        )
        hints = self._once(("build hints", cell.device), lambda: {"linker": self._devices[cell.device].linker})
        label = f"build {self._compiled(cell)} {cell.tuner}{_beside(cell, 'tune', 'build')}{self._where(cell)}"
        return self._add(Stage("", "build", options.data, hints.data, inputs, label), options.text)

    def _measured(self, cell: Cell, inputs: tuple[str, ...]) -> str:
        device = self._devices[cell.device]
        options = self._once(
            ("measure", cell.device, cell.runtime, cell.precision, *self._taken("measure", cell)),
            lambda: _with_axes(
                "measure",
                cell,
                {
                    "runtime": cell.runtime,
                    "device": cell.device,
                    "device_target": dict(device.target),
                    "threads": device.threads,
                    "measure": self._measure,
                    "threshold": tolerance_of(cell.precision),
                },
            ),
        )
        what = f"{self._compiled(cell)} {cell.tuner}" if cell.is_compiled else f"{_network(cell)} {cell.runtime}"
        label = f"measure {what}{_beside(cell, 'tune', 'build', 'measure')} on {cell.device}"
        stage = Stage("", "measure", options.data, _NO_HINTS, inputs, label)
        return self._add(stage, options.text, cell.runtime)

    # -- ids ----------------------------------------------------------------------------------------------------------

    def _full_target(self, cell: Cell) -> _Options:
        key = (cell.target, cell.device)
        if key not in self._full_targets:
            attrs = self._targets[cell.target].on(self._devices[cell.device])
            self._full_targets[key] = _Options(dict(attrs))
        return self._full_targets[key]

    def _where(self, cell: Cell) -> str:
        """For a stage that belongs to no device: `native` alone does not say whose."""
        return f" for {cell.device}" if self._targets[cell.target].attrs["kind"] == NATIVE else ""

    def _once(self, key: Hashable, make: Callable[[], dict[str, Any]]) -> _Options:
        if key not in self._options:
            self._options[key] = _Options(make())
        return self._options[key]

    def _taken(self, kind: str, cell: Cell) -> tuple[Any, ...]:
        """The values of a cell that the options of a kind of stage hold."""
        return tuple([cell.value(name) for name in self._axes[kind]])

    def _compiled(self, cell: Cell) -> str:
        """A network and what it is compiled with: of all tuners and devices one text."""
        key = ("compiled", cell.model, *self._taken("import", cell), *self._taken("lower", cell), cell.target)
        if key not in self._ids:
            self._ids[key] = _compiled(cell)
        return self._ids[key]

    def _keep(self, key: Hashable, stage_id: str) -> str:
        """Remember the id of a stage that many cells share; that of others is as quickly made as looked up."""
        self._ids[key] = stage_id
        return stage_id

    def _add(self, draft: Stage, options: str, by: str = TVM) -> str:
        """Give a stage its id, and keep it unless there is one of the same content.

        options: its own, encoded. by: the runtime or the importer that does the work.
        """
        inputs = '["' + '","'.join(draft.inputs) + '"]' if draft.inputs else "[]"
        # The canonical JSON of the whole, put together from parts that are canonical already
        stage_id = hashed(
            f'{{"inputs":{inputs},"kind":"{draft.kind}","options":{options},'
            f'"versions":{self._versions[draft.kind, by]}}}'
        )
        if stage_id not in self.by_id:
            self.by_id[stage_id] = Stage(stage_id, draft.kind, draft.options, draft.hints, draft.inputs, draft.label)
        return stage_id


class _Options:
    """A dict that many stages share, encoded once."""

    __slots__ = ("data", "hash", "text")

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.text = canonical_json(data)
        self.hash = fingerprint(data)[:12]


def _with_axes(kind: str, cell: Cell, own: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a kind of stage: its own, and what they say of the axes. Raises StudyError where both say one."""
    of_axes = stage_options(kind, cell.axes)
    for name in of_axes.keys() & own.keys():
        problem = f"is what a {kind} stage has already"
        raise StudyError(problem, key="axes", value=name, allowed="an axis of another name")
    return {**own, **of_axes}


def _network(cell: Cell) -> str:
    return f"{cell.model}{_beside(cell, 'import')}"


def _compiled(cell: Cell) -> str:
    return f"{_network(cell)} O{cell.opt_level}{_beside(cell, 'lower')} {cell.target}"


def _beside(cell: Cell, *kinds: str) -> str:
    """What is not usual of the axes that these kinds of stage take, behind a space each."""
    labels = unusual(cell.axes, (axis for axis in axes_under() if axis.stage in kinds))
    return "".join(f" {label}" for label in labels)
