"""From a study and a cluster to cells: the product of the axes, less what is excluded or does not fit, plus extras."""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.errors import StudyError
from sweep.study.advised_precisions import advised_in
from sweep.study.axes import all_axes, listed_axes, loops, of_compiled
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.cluster.target_fit import fit
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.refusals import Refusals, work_of
from sweep.study.runtimes import runtime_of
from sweep.study.spec import TVM, Cell, Rule, Study
from sweep.suggestions import hint, listed

__all__ = ["MAX_CELLS", "Grid", "LeftOut", "cells"]

_Axes = Mapping[str, tuple[Any, ...]]
MAX_CELLS = 1_000_000
"""Beyond this a grid is taken for a slip of the pen."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A choice that cannot run on a device, so that the grid has no such cells."""

    what: str
    """A target, or a runtime; `RUNTIME for MODEL` where the runtime takes other models on this device."""
    device: str
    reason: str


def cells(study: Study, cluster: Cluster) -> Iterator[Cell]:
    """The cells of the grid, lazily, each once: of each model and device those of other runtimes first.

    Raises StudyError at once: an unknown device, a target that fits none, a rule that matches nothing, no cell at all.
    """
    return Grid(study, cluster).cells()


class Grid:
    """The cells of a study on a cluster, and what does not fit there. Each fit is judged once."""

    @tells_lines
    def __init__(self, study: Study, cluster: Cluster) -> None:
        """Raises StudyError as `cells` does."""
        self._study = study
        self._devices = _chosen_devices(study, cluster)
        self._models = {model.name: model for model in study.models}
        self._unfit: list[LeftOut] = []
        """Targets that the grid has and that do not fit one of its devices."""
        targets = study.targets if TVM in study.runtimes else ()
        self._fitting = {
            device.key: {target.name for target in targets if self._fits(target, device)} for device in cluster.devices
        }
        self.axes = {**study.axes, "device": tuple(device.key for device in self._devices)}
        self._keys = tuple(device.key for device in cluster.devices)
        self.exclude, self.include = study.exclude, study.include
        self.refusals = Refusals(study.models, cluster, study.is_quantised, advised_in(study))
        self._check()

    def left_out(self) -> list[LeftOut]:
        """Targets that do not fit a device, what is not compiled, runtimes that refuse a device or some models."""
        refused = (entry for device in self._devices for entry in self._refused_on(device.key))
        return [*self._unfit, *self._not_compiled(), *refused]

    def _not_compiled(self) -> Iterator[LeftOut]:
        for axis, device in itertools.product(all_axes() if TVM in self._study.runtimes else (), self._devices):
            for value in set(axis.only_elsewhere) & set(self.axes[axis.name]):
                yield LeftOut(f"{TVM} at {axis.name} {value}", device.key, "no compiled code does that")

    def _fits(self, target: Any, device: Device) -> bool:
        reason = fit(target, device)
        if reason is not None and device in self._devices:
            self._unfit.append(LeftOut(target.name, device.key, reason))
        return reason is None

    def _refused_on(self, device: str) -> Iterator[LeftOut]:
        """One entry a runtime where it refuses all models for one reason, else one for each that it refuses."""
        for runtime in self._study.other_runtimes:
            reasons = {
                model: {
                    self.refusals.of(cell): cell
                    for cell in self._of_other_runtime(runtime, model, device, self.axes_of(self.axes, model))
                }
                for model in self.axes["model"]
            }
            every = set().union(*reasons.values())
            if len(every) == 1 and (reason := every.pop()) is not None:
                yield LeftOut(runtime, device, reason)
                continue
            for model, of_model in reasons.items():
                for reason, cell in of_model.items():
                    if reason is not None:
                        where = work_of(cell, among=of_model.values(), axes=_loops_elsewhere())
                        yield LeftOut(f"{runtime} for {model}{where}", device, reason)

    # -- checks -------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if TVM in self._study.runtimes:
            self._check_targets()
        for key, rules in (("exclude", self._study.exclude), ("include", self._study.include)):
            for index, rule in enumerate(rules):
                self._check_rule(rule, f"{key}[{index}]", adds=key == "include")
        for index, (rule, _) in enumerate(self._study.tags.rules):
            self._check_rule(rule, f"cell_tags[{index}].cells", adds=True)
        size = sum(self._size(self.axes, key) for key in self.axes["device"])
        if size > MAX_CELLS:
            longest = max(listed_axes(), key=lambda axis: len(self.axes[axis.name]))
            raise StudyError(
                "is a grid too large",
                file=self._study.path,
                key=longest.study_key,
                value=f"{size:,} cells",
                allowed=f"up to {MAX_CELLS:,} cells",
            )
        self._check_what_is_left()

    def _check_what_is_left(self) -> None:
        """Some cells, and some of TVM where it is among the runtimes: the others are there to be compared with."""
        left = self.cells()
        first = next(left, None)
        if first is None:
            allowed = "rules that leave some cells"
            raise StudyError("leaves no cell", file=self._study.path, key="exclude", allowed=allowed)
        if TVM not in self._study.runtimes and all(self.refusals.of(cell) is not None for cell in self.cells()):
            why = f"{first.runtime} on {first.device}: {self.refusals.of(first)}"
            raise StudyError(
                f"has none that takes a model of the study: {why}",
                file=self._study.path,
                key="runtimes",
                allowed="one that takes some",
            )
        if TVM in self._study.runtimes and not first.is_compiled and not any(cell.is_compiled for cell in left):
            others = ", ".join(self._study.other_runtimes)
            raise StudyError(
                f"leaves no cell that is compiled, only those of {others}",
                file=self._study.path,
                key="exclude",
                allowed=f"rules that leave some cells of tvm; for the others alone, runtimes: [{others}]",
            )

    def _check_targets(self) -> None:
        for index, target in enumerate(self._study.targets):
            if any(target.name in self._fitting[device.key] for device in self._devices):
                continue
            reasons = [f"{entry.device}: {entry.reason}" for entry in self._unfit if entry.what == target.name]
            raise StudyError(
                f"fits none of the devices: {'; '.join(reasons[:3])}",
                file=self._study.path,
                key=f"targets[{index}]",
                value=target.name,
                allowed="targets that a device of the cluster file can run",
            )

    def _check_rule(self, rule: Rule, where: str, *, adds: bool) -> None:
        keys = self._keys if adds else self.axes["device"]
        for device in rule.get("device", ()):
            if device not in keys:
                raise StudyError(
                    f"is not a device of this grid{hint(device, keys)}",
                    file=self._study.path,
                    key=f"{where}.device",
                    value=device,
                    allowed=listed(keys),
                )
        if not any(self._size(self.narrowed(rule), key, rule) for key in self.narrowed(rule)["device"]):
            raise StudyError(
                "matches no cell",
                file=self._study.path,
                key=where,
                value={axis: values[0] if len(values) == 1 else list(values) for axis, values in rule.items()},
                allowed="values that some cell has together (of runtimes, tvm alone has target, tuner and opt_level)",
            )

    def narrowed(self, rule: Rule) -> dict[str, tuple[Any, ...]]:
        """The grid's axes with the values that a rule names in place of the grid's own."""
        return {axis: tuple(rule.get(axis, values)) for axis, values in self.axes.items()}

    def _size(self, axes: _Axes, device: str, named: Container[str] = ()) -> int:
        """How many cells these axes have on a device, before any exclusion, without making them."""
        there = self._there(axes, device)
        compiled = others = 0
        for model in axes["model"]:
            own = self.axes_of(there, model, named)
            compiled += math.prod(len(of_compiled(own)[axis]) for axis in loops()) if TVM in axes["runtime"] else 0
            others += math.prod(len(own[axis]) for axis in _loops_elsewhere())
        others *= len(self._other_runtimes(axes, named))
        if compiled + others > MAX_CELLS:  # too many in any case, and too many to be asked about one by one
            return compiled + others
        return compiled + sum(1 for model in axes["model"] for _ in self.other_cells(axes, model, device, named))

    def compiled_axes(self, axes: _Axes, model: str, device: str, named: Container[str] = ()) -> _Axes:
        """The same for the compiled cells of a model on a device: the targets that fit it, and the model's batches."""
        return of_compiled(self.axes_of(self._there(axes, device), model, named))

    def _there(self, axes: _Axes, device: str) -> _Axes:
        """The same, with the targets that fit the device."""
        return {**axes, "target": tuple(target for target in axes["target"] if target in self._fitting[device])}

    def axes_of(self, axes: _Axes, model: str, named: Container[str] = ()) -> _Axes:
        """The same, with the batches of a model. named: axes whose values a rule says, which hold for every model."""
        batches = self._models[model].batch.batches
        if batches is None:
            return axes
        kept = tuple(batch for batch in axes["batch"] if batch in batches)
        return {**axes, "batch": kept if "batch" in named else batches}

    def _other_runtimes(self, axes: _Axes, named: Container[str]) -> list[str]:
        """Runtimes other than TVM with cells here: none where a rule names an axis on which they have no such value."""
        for axis in all_axes():
            if not axis.in_other_runtimes and axis.name in named and axis.absent not in axes[axis.name]:
                return []
        return [name for name in self._study.other_runtimes if name in axes["runtime"]]

    def other_cells(self, axes: _Axes, model: str, device: str, named: Container[str]) -> Iterator[Cell]:
        """Those of a model on a device, but where a runtime could run nothing."""
        axes = self.axes_of(axes, model, named)
        for runtime in self._other_runtimes(axes, named):
            of_runtime = self._of_other_runtime(runtime, model, device, axes)
            yield from (cell for cell in of_runtime if not self.refusals.is_by_device(cell))

    def _of_other_runtime(self, runtime: str, model: str, device: str, axes: _Axes) -> Iterator[Cell]:
        """The cells of a runtime that runs the network as it was imported; where it can, also as it is quantised."""
        known = runtime_of(runtime)
        absent = {axis.name: axis.absent for axis in all_axes() if not axis.in_other_runtimes}
        quantised = [name for name in axes["precision"] if known.runs_quantised and self._study.is_quantised(name)]
        for precision in (known.precision or absent["precision"], *quantised):
            fixed = {**absent, "precision": precision, "model": model, "device": device, "runtime": runtime}
            yield from _cells(fixed, axes, _loops_elsewhere())

    # -- cells --------------------------------------------------------------------------------------------------------

    def parts(self) -> Iterator[tuple[_Axes, Rule | None, Sequence[Rule]]]:
        """The grid's own axes, and those of each rule that includes cells, with that rule and those before it."""
        yield self.axes, None, ()
        for index, rule in enumerate(self.include):
            yield self.narrowed(rule), rule, self.include[:index]

    def cells(self) -> Iterator[Cell]:
        """Each cell once."""
        for axes, rule, before in self.parts():
            yield from (cell for cell in self._product(axes, rule or ()) if not self.is_left_out(cell, rule, before))

    def is_left_out(self, cell: Cell, rule: Rule | None, before: Sequence[Rule]) -> bool:
        """Whether a cell of the grid's own axes is excluded, or one that a rule includes is there already."""
        if rule is None:
            return _matches(cell, self.exclude)
        return _matches(cell, before) or self._is_there(cell)

    def _is_there(self, cell: Cell) -> bool:
        axes = self.axes_of(self.axes, cell.model)
        in_axes = all(
            cell.value(axis.name) in axes[axis.name]
            for axis in all_axes()
            if cell.is_compiled or axis.in_other_runtimes
        )
        return in_axes and not _matches(cell, self.exclude)

    def _product(self, axes: _Axes, named: Container[str] = ()) -> Iterator[Cell]:
        for model, device in itertools.product(axes["model"], axes["device"]):
            yield from self.other_cells(axes, model, device, named)
            if TVM in axes["runtime"]:
                fixed = {"model": model, "device": device, "runtime": TVM}
                yield from _cells(fixed, self.compiled_axes(axes, model, device, named), loops())


def _cells(fixed: Mapping[str, Any], axes: _Axes, names: Sequence[str]) -> Iterator[Cell]:
    """One for each combination of the values of the named axes, beside the fixed ones."""
    for values in itertools.product(*(axes[name] for name in names)):
        yield Cell.of({**fixed, **dict(zip(names, values, strict=True))})


def _loops_elsewhere() -> tuple[str, ...]:
    return tuple(axis.name for axis in listed_axes() if axis.in_other_runtimes)


def _chosen_devices(study: Study, cluster: Cluster) -> list[Device]:
    keys = [device.key for device in cluster.devices]
    for index, key in enumerate(study.devices or ()):
        if key not in keys:
            raise StudyError(
                f"is not a device of cluster {cluster.name}{hint(key, keys)}",
                file=study.path,
                key=f"devices[{index}]",
                value=key,
                allowed=listed(keys),
            )
    return [device for device in cluster.devices if study.devices is None or device.key in study.devices]


def _matches(cell: Cell, rules: Sequence[Rule]) -> bool:
    return any(all(cell.value(axis) in values for axis, values in rule.items()) for rule in rules)
