"""What the planner and the kinds of stages say to each other: drafts of stages, and what they are drafted from.

A draft becomes a stage when the planner gives it an id. Options are encoded once for each combination of axis values
that they depend on, and not for each cell (`sweep.planning.sharing.draft_memo`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sweep.errors import StudyError
from sweep.planning.fingerprint import canonical_json, fingerprint
from sweep.study.axes import all_axes, axes_under, stage_options, unusual
from sweep.study.cell_values import values_on
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.precisions import Precision, precision_of
from sweep.study.spec import NATIVE, Cell, Model, Study, TunerSpec

__all__ = ["NO_HINTS", "ONNX_PACKAGES", "TVM_PACKAGES", "Draft", "Drafting", "Encoded"]

TVM_PACKAGES = ("apache-tvm", "apache-tvm-ffi")
"""What all depends on that TVM does."""

NO_HINTS: Mapping[str, Any] = {}  # plain: stages are pickled

ONNX_PACKAGES = ("onnx", "onnxruntime")
"""What runs and rewrites networks in ONNX."""

T = TypeVar("T")


class Encoded:
    """A dict that many stages share, encoded once. Raises PlanError for what has no canonical JSON."""

    __slots__ = ("data", "hash", "text")

    def __init__(self, data: dict[str, Any]) -> None:
        self.data: Mapping[str, Any] = data
        self.text = canonical_json(data)
        self.hash = fingerprint(data)[:12]


@dataclass(slots=True)
class Draft:
    """A stage that has no id yet. One that many cells share is drafted once: `Drafting.once`."""

    options: Encoded
    """What decides the result, beside the inputs and the versions."""
    inputs: Mapping[str, str]
    """Ids of the stages whose results it takes, by role, in the order in which its kind names the roles."""
    label: str | Callable[[Drafting, Cell], str]
    """For people, beginning with the kind; or what gives it for the first cell that takes the stage."""
    hints: Mapping[str, Any] = field(default_factory=lambda: NO_HINTS)
    """What helps to do the work and does not change the result."""
    distributions: tuple[str, ...] | None = None
    """Packages whose versions the result depends on; None: those of its kind."""
    source: str = ""
    """Hash of a file that does the work and belongs to no package."""
    id: str = ""
    """Set by the planner."""

    def label_for(self, drafting: Drafting, cell: Cell) -> str:
        """Its label, where this cell is the first that takes it."""
        return self.label if isinstance(self.label, str) else self.label(drafting, cell)


class Drafting:
    """What the stages of a study are drafted from; shared by all of its cells."""

    def __init__(
        self, study: Study, cluster: Cluster, kinds: Sequence[str], stage_of: Callable[[Cell, str], str | None]
    ) -> None:
        """kinds: names of all. stage_of: see the attribute. Raises StudyError for an axis that no kind takes."""
        self.study, self.cluster = study, cluster
        self.stage_of = stage_of
        """The id of a kind of stage of any cell, made where it is new: for a stage that takes another cell's."""
        self.models: Mapping[str, Model] = {model.name: model for model in study.models}
        self.tuners: Mapping[str, TunerSpec] = {tuner.label: tuner for tuner in study.tuners}
        self.devices: Mapping[str, Device] = {device.key: device for device in cluster.devices}
        self._targets = {target.name: target for target in study.targets}
        self._once: dict[Hashable, Any] = {}
        self._axes: dict[str, list[str]] = {kind: [] for kind in kinds}
        for axis in all_axes():
            if axis.stage and axis.stage not in self._axes:
                problem = f"is taken by {axis.stage}, which is no kind of stage"
                raise StudyError(problem, key="axes", value=axis.name, allowed=", ".join(kinds))
            if axis.stage:
                self._axes[axis.stage].append(axis.name)
        self._values = {kind: values_on(names) for kind, names in self._axes.items()}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made for the first cell that asks with this key."""
        if key not in self._once:
            self._once[key] = make()
        made: T = self._once[key]
        return made

    def full_target(self, cell: Cell) -> Encoded:
        """A cell's target with what its device adds."""
        return self.once(
            ("full target", cell.target, cell.device),
            lambda: Encoded(dict(self._targets[cell.target].on(self.devices[cell.device]))),
        )

    def precision(self, cell: Cell) -> Precision:
        """What a cell computes in, with all options."""
        return precision_of(cell.precision, self.study.described)

    def is_quantised(self, cell: Cell) -> bool:
        """Whether its network is calibrated and quantised."""
        return self.once(("is quantised", cell.precision), lambda: self.study.is_quantised(cell.precision))

    def rounded(self, cell: Cell) -> list[str]:
        """For a label: the precision of a cell whose network is quantised."""
        return [cell.precision] if self.is_quantised(cell) else []

    def whose(self, cell: Cell) -> str:
        """For the label of a stage that belongs to no device: `native` alone does not say whose."""
        return f" for {cell.device}" if self._targets[cell.target].attrs["kind"] == NATIVE else ""

    # -- axes ---------------------------------------------------------------------------------------------------------

    def taken(self, kind: str, cell: Cell) -> tuple[Any, ...]:
        """The values of a cell that the options of a kind of stage hold."""
        return self._values[kind](cell)

    def options(self, kind: str, cell: Cell, own: Mapping[str, Any], without: Collection[str] = ()) -> Encoded:
        """Options of a kind of stage: its own, and what they say of the axes that it takes, but for what is named.

        Raises:
            StudyError: both say the same.
        """
        taken = {name: cell.value(name) for name in self._axes[kind]}
        of_axes = stage_options(kind, taken, self.study.described)
        for name in of_axes.keys() & own.keys():
            problem = f"is what a {kind} stage has already"
            raise StudyError(problem, key="axes", value=name, allowed="an axis of another name")
        return Encoded({**own, **{name: value for name, value in of_axes.items() if name not in without}})

    # -- labels -------------------------------------------------------------------------------------------------------

    def network(self, cell: Cell) -> str:
        """A network as it is imported."""
        return f"{cell.model}{self.beside(cell, 'import')}"

    def compiled(self, cell: Cell) -> str:
        """A network and what it is compiled with, of all tuners and devices one text."""
        key = ("compiled", cell.model, *self.taken("import", cell), *self.taken("lower", cell), cell.target)
        return self.once(
            key, lambda: f"{self.network(cell)} O{cell.opt_level}{self.beside(cell, 'lower')} {cell.target}"
        )

    def beside(self, cell: Cell, *kinds: str) -> str:
        """What is not usual of the axes that these kinds of stage take, behind a space each."""
        axes = self.once(("beside", kinds), lambda: [axis for axis in axes_under() if axis.stage in kinds])
        return "".join(f" {label}" for label in unusual(cell.axes, axes)) if axes else ""
