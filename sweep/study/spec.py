"""The words of a study as frozen data: what comes out of the gate, already checked, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sweep.study.axes import listed_axes
from sweep.study.calibration_options import Calibration
from sweep.study.cell import TVM, Cell, is_compiled
from sweep.study.datasets import Dataset
from sweep.study.evaluate_options import Evaluate
from sweep.study.final_options import Final
from sweep.study.measure_options import Measure
from sweep.study.model import Model
from sweep.study.notify import Notify
from sweep.study.objective import Objective
from sweep.study.planner_options import PlannerOptions
from sweep.study.precisions import PRECISIONS, precision_of
from sweep.study.profile_options import Profile
from sweep.study.run_budget import Budget
from sweep.study.tags import Tags

__all__ = ["NATIVE", "TVM", "Budget", "Cell", "Measure", "Model", "Rule", "Study", "Target", "TunerSpec", "is_compiled"]

NATIVE = "native"
"""The kind of the target that stands for each device's own CPU."""

Rule = Mapping[str, tuple[Any, ...]]
"""Axis -> the values a rule speaks of; a cell matches when every named axis has one of them."""


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
    calibration: Calibration = field(default_factory=Calibration)
    """What quantised networks are calibrated on."""
    tells_layer_errors: bool = False
    """Whether the layers of quantised networks are compared with the float ones."""
    tells_layer_latencies: bool = False
    """Whether layers are timed in float32 and quantised, and advice is given."""
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What it says of values that it writes with options, by axis and name."""
    profile: Profile | None = None
    """Limits of its points, and what follows from a failure; None: none."""
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    """Labelled samples, by name."""
    evaluate: Evaluate | None = None
    """How the cells' quality is found out; None: it is not."""

    def is_quantised(self, precision: str) -> bool:
        """Whether networks are quantised for a precision; not for one that a runtime chooses itself."""
        own = self.described.get("precision", {})
        return (precision in own or precision in PRECISIONS) and precision_of(precision, self.described).is_quantised

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
