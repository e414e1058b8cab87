"""The words of a study as frozen data: what comes out of the gate, already checked, with every default filled in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from sweep.study.axes import FIRST, axes_under, axis_names, axis_of, further_axes, listed_axes, unusual, value_in
from sweep.study.final_options import Final
from sweep.study.identity import identifying
from sweep.study.importers.batch_dimension import BatchDimension
from sweep.study.importers.given_inputs import GivenInput
from sweep.study.notify import Notify
from sweep.study.objective import Objective
from sweep.study.planner_options import PlannerOptions
from sweep.study.tags import Tags

__all__ = ["NATIVE", "TVM", "Budget", "Cell", "Measure", "Model", "Rule", "Study", "Target", "TunerSpec", "is_compiled"]

TVM = "tvm"
"""The runtime of what is compiled here; every other one runs the network as it was imported."""

NATIVE = "native"
"""The kind of the target that stands for each device's own CPU."""

_FIRST = frozenset(FIRST)
_DEFAULTS = {axis.name: axis.default for axis in listed_axes()}
_FIRST_OF_MEASURE = frozenset(
    "repeat max_repeat rounds relative_interval time_limit_s min_repeat_ms warmup number cache_flush timeout_s".split()
)

Rule = Mapping[str, tuple[Any, ...]]
"""Axis -> the values a rule speaks of; a cell matches when every named axis has one of them."""


def is_compiled(runtime: str) -> bool:
    """Whether cells of this runtime are compiled here. Of a name, since a sweep may be read where it is not known."""
    return runtime == TVM


@dataclass(frozen=True, slots=True)
class Model:
    """A network to compile."""

    name: str
    source: str
    """As written: `onnx-light:squeezenet`, or a path."""
    path: Path
    sha256: str
    """Of the file, and of the files that belong to it where there are any."""
    inputs: Mapping[str, tuple[int, ...]]
    """Shapes that replace the file's own; inputs that are not named keep theirs."""
    importer: str = "onnx"
    """The name of its importer, or `module:attribute`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else decides the result of its import, by its importer."""
    formats: tuple[str, ...] = ("onnx",)
    """The forms in which its import leaves the network for other runtimes than TVM."""
    companions: tuple[Path, ...] = ()
    """Further files that belong to it, each in the folder of `path` or below."""
    is_installed: bool = False
    """Whether a package brings its files, so that a run elsewhere has them too."""
    given: Mapping[str, GivenInput] = field(default_factory=dict)
    """What inputs hold when it is compared and measured, where a person says it."""
    batch: BatchDimension = field(default_factory=BatchDimension)
    """How it takes the batch axis."""


class CodeDevice(Protocol):
    """A device, as far as code for it is concerned: a cluster file's, which is read after the study."""

    @property
    def target(self) -> Mapping[str, Any]:
        """TVM's dict of its own target."""

    @property
    def threads(self) -> int:
        """Threads that a network runs in."""


@dataclass(frozen=True, slots=True)
class Target:
    """What code is generated for; not to be confused with a device, which runs it."""

    name: str
    attrs: Mapping[str, Any]
    """TVM's dict, in canonical form; `{"kind": "native"}` for the device's own."""

    def on(self, device: CodeDevice) -> dict[str, Any]:
        """The full target for code that runs on this device: nothing left to the compiler's defaults, keys sorted."""
        attrs = dict(device.target if self.attrs["kind"] == NATIVE else self.attrs)
        if "mtriple" not in attrs and "mtriple" in device.target:
            attrs["mtriple"] = device.target["mtriple"]
        attrs.setdefault("num-cores", device.threads)
        return dict(sorted(attrs.items()))


@dataclass(frozen=True, slots=True)
class TunerSpec:
    """A way to search schedules, with all its options."""

    label: str
    """Unique in the study; the value of the tuner axis."""
    name: str
    """Of the catalogue in `sweep.study.tuners.tuner_forms`, or a person's own: `module:attribute` or an entry point."""
    options: Mapping[str, Any]
    """Complete: defaults are filled in. A person's own tuner has its own options beside the common ones."""

    @property
    def is_untuned(self) -> bool:
        """Whether this tuner measures no candidate."""
        return self.name == "none"


@dataclass(frozen=True, slots=True)
class Measure:
    """How a cell is measured."""

    repeat: int = 10
    """Values at least, each a mean over `number` calls."""
    max_repeat: int = 50
    """Values at most."""
    rounds: int = 5
    """Visits to the device over which the values are spread; others' visits come in between. 1: all in one go."""
    relative_interval: float = 0.02
    """Enough values once the 95 % interval of their median, end to end, is narrower than this share of it."""
    time_limit_s: float = 30.0
    """For the timed calls of the values; three are taken whatever it says."""
    min_repeat_ms: int = 100
    """`number` is raised until one repeat takes this long."""
    warmup: int = 1
    """Single calls before the repeats that count; kept, but apart."""
    number: int | None = None
    """Calls a repeat; none: found from `min_repeat_ms`."""
    cache_flush: bool = False
    """Whether the caches are emptied before each value, which is then a single call."""
    timeout_s: float = 600.0
    """For the whole measurement of a cell."""

    @property
    def options(self) -> dict[str, Any]:
        """What the options of a measure stage hold, and its id is made of: the first ten, others where not the default.

        So a further option leaves what was measured without it as it is.
        """
        defaults = {field.name: field.default for field in fields(self)}
        return identifying(asdict(self), _FIRST_OF_MEASURE, defaults)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost."""

    hours: float | None = None
    """Wall clock; none: no limit."""
    cell_minutes: float | None = None
    """Work on one cell, each stage in full, tuning apart; what tunes together may take it for each of its modules."""


@dataclass(frozen=True, slots=True)
class Study:
    """One study file, checked."""

    name: str
    question: str
    models: tuple[Model, ...]
    targets: tuple[Target, ...]
    tuners: tuple[TunerSpec, ...]
    choices: Mapping[str, tuple[Any, ...]]
    """Values of the axes that a file lists, by the axis; one that is not there has its default alone."""
    devices: tuple[str, ...] | None
    """Keys of the cluster file; none: every device that the target fits."""
    exclude: tuple[Rule, ...]
    include: tuple[Rule, ...]
    measure: Measure
    budget: Budget
    seed: int
    runtimes: tuple[str, ...]
    """What runs the networks; `tvm` for what is compiled here."""
    baseline: str | None
    """The one of them that the others are compared with; None: nothing is."""
    path: Path
    tags: Tags = field(default_factory=Tags)
    notify: Notify | None = None
    """Who is told how a run ended."""
    final: Final | None = field(default_factory=Final)
    """How the best cells are compared in the end; None: they are not."""
    planner: PlannerOptions | None = None
    """How far a run may spare cells by prediction; None: every cell is measured."""
    objective: Objective | None = None

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The values of each axis but `device`, for which it takes a cluster."""
        return {
            "model": tuple(model.name for model in self.models),
            "target": tuple(target.name for target in self.targets),
            "tuner": tuple(tuner.label for tuner in self.tuners),
            **{axis.name: self.choices.get(axis.name, (axis.default,)) for axis in listed_axes()},
            "runtime": self.runtimes,
        }

    @property
    def other_runtimes(self) -> tuple[str, ...]:
        """The runtimes that run the network as it was imported."""
        return tuple(name for name in self.runtimes if not is_compiled(name))


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid, by the names of its choices."""

    model: str
    target: str
    tuner: str
    """A tuner's label."""
    opt_level: int | None
    layout: str
    precision: str
    batch: int | None
    """None where the network stays as its file has it."""
    device: str
    runtime: str
    """`tvm`, or another; a cell of another has no opt level, and its target and tuner are `-`."""
    more: tuple[tuple[str, str | int], ...] = ()
    """Name and value of each further axis on which it differs from the default, by name."""

    @classmethod
    def of(cls, values: Mapping[str, Any], unknown: Mapping[str, str | int] | None = None) -> Cell:
        """The cell of these values, by axis; an axis that is not named has its default, and what is no axis is ignored.

        unknown: values of axes that only another installation may know. Raises KeyError where an axis without a default
        has no value.
        """
        chosen: dict[str, Any] = {
            name: values[name] if name in values or name not in _DEFAULTS else _DEFAULTS[name] for name in FIRST
        }
        further = further_axes()
        if further or unknown:  # seldom, and a grid may have a million cells
            defaults = {axis.name: axis.default for axis in further}
            more = identifying({name: value_in(values, name) for name in defaults}, (), defaults)
            chosen["more"] = tuple(sorted({**(unknown or {}), **more}.items()))
        return cls(**chosen)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Cell:
        """From what `to_json` gave, among other keys, also in an earlier version, or one that knew further axes: these
        are kept, so that the cell has the id that it had there. Raises KeyError.
        """
        return cls.of(entry, entry.get("more"))

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; further axes apart, and only where it differs from their default."""
        more = {"more": dict(self.more)} if self.more else {}
        return {**{axis: getattr(self, axis) for axis in FIRST}, **more}

    @property
    def is_compiled(self) -> bool:
        """Whether it is compiled here, so that target, tuner and opt level are its choices."""
        return is_compiled(self.runtime)

    @property
    def axes(self) -> dict[str, Any]:
        """Its value on each axis."""
        return {name: self.value(name) for name in axis_names()}

    def value(self, axis: str) -> Any:
        """Its value on an axis. Raises StudyError where there is no such axis."""
        if axis in _FIRST:
            return getattr(self, axis)
        more = dict(self.more)
        return more[axis] if axis in more else axis_of(axis).default

    @property
    def id(self) -> str:
        """16 hex digits, the same for the same choices wherever they are written."""
        choices = {axis: getattr(self, axis) for axis in FIRST} | dict(self.more)
        text = json.dumps(choices, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Short and distinct within a study: what differs in most studies, then what is not the usual value."""
        choices = [self.target, self.tuner, f"O{self.opt_level}"] if self.is_compiled else [self.runtime]
        return " ".join([self.model, *choices, *self.labels, self.device])

    @property
    def labels(self) -> list[str]:
        """Labels of what is not the usual value, of the axes that a study need not mention."""
        return [*unusual(self.axes, axes_under()), *(str(value) for _, value in self.unknown)]

    @property
    def unknown(self) -> tuple[tuple[str, str | int], ...]:
        """Values on axes that are not known here, of a plan that another installation has written."""
        known = axis_names() if self.more else ()
        return tuple((name, value) for name, value in self.more if name not in known)
