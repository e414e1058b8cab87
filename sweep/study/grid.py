"""From a study and a cluster to cells: the product of the axes, less what is excluded or does not fit, plus extras."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.errors import StudyError
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.cluster.target_fit import fit
from sweep.study.spec import AXES, NO_CHOICE, TVM, Cell, Rule, Study
from sweep.suggestions import hint, listed

__all__ = ["MAX_CELLS", "LeftOut", "cells", "left_out"]

MAX_CELLS = 1_000_000
"""Beyond this a grid is taken for a slip of the pen."""

_REFERENCE_LAYOUT = "NCHW"
_REFERENCE_PRECISION = "float32"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A choice that cannot run on a device, so that the grid has no such cells."""

    what: str
    """A target, or a reference runtime."""
    device: str
    reason: str


def cells(study: Study, cluster: Cluster) -> Iterator[Cell]:
    """The cells of the grid, lazily, each once: for each model and device the reference rows, then the compiled ones.

    Raises StudyError at once when the study does not go with the cluster: an unknown device, a target that fits none of
    them, a rule that matches nothing, no cell at all.
    """
    grid = _Grid(study, cluster)
    grid.check()
    return grid.cells()


def left_out(study: Study, cluster: Cluster) -> list[LeftOut]:
    """What does not fit which device, and why."""
    return list(_Grid(study, cluster).left_out)


class _Grid:
    def __init__(self, study: Study, cluster: Cluster) -> None:
        self._study = study
        self._is_pretended = cluster.is_pretended
        self._devices = _chosen_devices(study, cluster)
        self.left_out: list[LeftOut] = []
        self._fitting = {
            device.key: {target.name for target in study.targets if self._fits(target, device)}
            for device in cluster.devices
        }
        self._references = {device.key: self._references_on(device) for device in cluster.devices}
        self.left_out = [entry for entry in self.left_out if entry.device in {device.key for device in self._devices}]
        self._axes = {**study.axes, "device": tuple(device.key for device in self._devices)}
        self._keys = tuple(device.key for device in cluster.devices)
        self._exclude = _compiled(study.exclude)

    def _fits(self, target: Any, device: Device) -> bool:
        reason = fit(target, device)
        if reason is not None:
            self.left_out.append(LeftOut(target.name, device.key, reason))
        return reason is None

    def _references_on(self, device: Device) -> tuple[str, ...]:
        """Reference runtimes run on this host, beside the server of a managed device that is of this host too."""
        if device.is_this_host or self._is_pretended:
            return self._study.references
        where = "under an interpreter of its own" if device.managed else "elsewhere"
        for name in self._study.references:
            self.left_out.append(LeftOut(name, device.key, f"it runs on this host, the device is {where}"))
        return ()

    # -- checks -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise StudyError when the study does not go with the cluster."""
        self._check_targets()
        for key, rules in (("exclude", self._study.exclude), ("include", self._study.include)):
            for index, rule in enumerate(rules):
                self._check_rule(rule, f"{key}[{index}]", adds=key == "include")
        size = sum(self._size(self._axes, key) for key in self._axes["device"])
        if size > MAX_CELLS:
            raise StudyError(
                "is a grid too large",
                file=self._study.path,
                value=f"{size:,} cells",
                allowed=f"up to {MAX_CELLS:,} cells",
            )
        if next(self.cells(), None) is None:
            raise StudyError(
                "leaves no cell", file=self._study.path, key="exclude", allowed="rules that leave some cells"
            )

    def _check_targets(self) -> None:
        for index, target in enumerate(self._study.targets):
            if any(target.name in self._fitting[device.key] for device in self._devices):
                continue
            reasons = [f"{entry.device}: {entry.reason}" for entry in self.left_out if entry.what == target.name]
            raise StudyError(
                f"fits none of the devices: {'; '.join(reasons[:3])}",
                file=self._study.path,
                key=f"targets[{index}]",
                value=target.name,
                allowed="targets that a device of the cluster file can run",
            )

    def _check_rule(self, rule: Rule, where: str, *, adds: bool) -> None:
        keys = self._keys if adds else self._axes["device"]
        for device in rule.get("device", ()):
            if device not in keys:
                raise StudyError(
                    f"is not a device of this grid{hint(device, keys)}",
                    file=self._study.path,
                    key=f"{where}.device",
                    value=device,
                    allowed=listed(keys),
                )
        if not any(self._size(self._narrowed(rule), key, rule) for key in self._narrowed(rule)["device"]):
            raise StudyError(
                "matches no cell",
                file=self._study.path,
                key=where,
                value={axis: values[0] if len(values) == 1 else list(values) for axis, values in rule.items()},
                allowed="values that some cell has together (a reference row has no target, tuner or opt_level)",
            )

    def _narrowed(self, rule: Rule) -> dict[str, tuple[Any, ...]]:
        return {axis: tuple(rule.get(axis, values)) for axis, values in self._axes.items()}

    def _size(self, axes: Mapping[str, tuple[Any, ...]], device: str, named: Container[str] = ()) -> int:
        """How many cells these axes have on a device, before any exclusion, without making them."""
        models, batches = len(axes["model"]), len(axes["batch"])
        targets = len([target for target in axes["target"] if target in self._fitting[device]])
        compiled = models * batches * targets
        for axis in ("tuner", "opt_level", "layout", "precision"):
            compiled *= len(axes[axis])
        total = compiled if TVM in axes["runtime"] else 0
        return total + (models * batches * len(self._reference_rows(axes, device, named)))

    def _reference_rows(self, axes: Mapping[str, tuple[Any, ...]], device: str, named: Container[str]) -> list[str]:
        """Runtimes that have a row here: none where a rule names an axis on which they have no such value."""
        if any(axis in named for axis in ("target", "tuner", "opt_level")):
            return []
        if "layout" in named and _REFERENCE_LAYOUT not in axes["layout"]:
            return []
        if "precision" in named and _REFERENCE_PRECISION not in axes["precision"]:
            return []
        return [name for name in self._references[device] if name in axes["runtime"]]

    # -- cells --------------------------------------------------------------------------------------------------------

    def cells(self) -> Iterator[Cell]:
        """Each cell once."""
        yield from (cell for cell in self._product(self._axes) if not _matches(cell, self._exclude))
        earlier: list[Rule] = []
        for rule in self._study.include:
            before = _compiled(earlier)
            for cell in self._product(self._narrowed(rule), rule):
                if not _matches(cell, before) and not self._is_there(cell):
                    yield cell
            earlier.append(rule)

    def _is_there(self, cell: Cell) -> bool:
        in_axes = all(
            getattr(cell, axis) in self._axes[axis]
            for axis in AXES
            if cell.runtime == TVM or axis in ("model", "batch", "device")
        )
        return in_axes and not _matches(cell, self._exclude)

    def _product(self, axes: Mapping[str, tuple[Any, ...]], named: Container[str] = ()) -> Iterator[Cell]:
        for model, device in itertools.product(axes["model"], axes["device"]):
            for runtime, batch in itertools.product(self._reference_rows(axes, device, named), axes["batch"]):
                yield Cell(
                    model, NO_CHOICE, NO_CHOICE, None, _REFERENCE_LAYOUT, _REFERENCE_PRECISION, batch, device, runtime
                )
            if TVM not in axes["runtime"]:
                continue
            targets = [target for target in axes["target"] if target in self._fitting[device]]
            for target, layout, precision, batch, tuner, opt_level in itertools.product(
                targets, axes["layout"], axes["precision"], axes["batch"], axes["tuner"], axes["opt_level"]
            ):
                yield Cell(model, target, tuner, opt_level, layout, precision, batch, device, TVM)


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


def _compiled(rules: tuple[Rule, ...] | list[Rule]) -> list[list[tuple[str, frozenset[Any]]]]:
    return [[(axis, frozenset(values)) for axis, values in rule.items()] for rule in rules]


def _matches(cell: Cell, rules: list[list[tuple[str, frozenset[Any]]]]) -> bool:
    return any(all(getattr(cell, axis) in values for axis, values in rule) for rule in rules)
