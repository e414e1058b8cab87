"""The table of the grid's axes: what each is called, what it may be, what it is at, and who takes it.

This is the one place that lists axes. A further axis is one more row of `_ROWS`, or an `Axis` that another package
offers under the entry-point group `sweep.axes`; the code that does something with it reads it from the options of the
stage that the row names. Everything else follows from the row: study file and its schema, rules, `--only`, ids and
names of cells, options of stages, plan.json, columns of tables, MLflow params, report.

The nine first axes are fields of `Cell` and part of every id. A further axis is part of an id only where a cell differs
from its default: an axis that is added later leaves all ids as they are, so nothing is measured again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sweep.errors import StudyError
from sweep.registry import Registry
from sweep.study.axis import NOTHING_DESCRIBED, Axis, Described, DescribedValues
from sweep.study.identity import identifying
from sweep.study.layouts import LAYOUTS, UNNAMED, layout_options
from sweep.study.precision_form import PrecisionForm, as_written, read_precision
from sweep.study.precisions import PRECISIONS, lowering_options, options_of
from sweep.study.profile_options import INFERENCE, LATENCY, MODES, TRAINING, VARIABLES

__all__ = [
    "AXES",
    "FIRST",
    "NO_CHOICE",
    "USUALLY_SHOWN",
    "all_axes",
    "axes_of_layers",
    "axes_under",
    "axis_names",
    "axis_of",
    "by_promise",
    "compared_within",
    "further_axes",
    "listed_axes",
    "loops",
    "of_compiled",
    "parallel_coordinates",
    "stage_options",
    "unusual",
    "value_in",
]

NO_CHOICE = "-"
"""Target and tuner in the cells of other runtimes, which make these choices themselves."""

_ROWS = (
    Axis("model", "name of the model", in_other_runtimes=True),
    Axis(
        "target",
        "name of the target; - where it is not compiled here",
        elsewhere=NO_CHOICE,
        compared_within=False,
        keep=5,
    ),
    Axis(
        "tuner",
        "label of the tuner; - where it is not compiled here",
        elsewhere=NO_CHOICE,
        compared_within=False,
        keep=9,
    ),
    Axis(
        "opt_level",
        "opt level 0 to 4; null where it is not compiled here",
        default=3,
        type="int8",
        least=0,
        most=4,
        about="Recipes of compiler passes, 0 to 4.",
        key="opt_levels",
        label="O{}",
        stage="lower",
        elsewhere=None,
        compared_within=False,
        keep=9,
    ),
    Axis(
        "layout",
        "tensor layout of the model's activations",
        default=UNNAMED,
        values=LAYOUTS,
        about="Layout of the activations inside the network, kept at every opt level; as-is: that of its file; auto: "
        "what the opt level chooses, as where none is listed.",
        stage="lower",
        described=Described(None, str, layout_options, lambda name, _: name),
        compared_within=False,  # another runtime runs the network as it came, whatever is made of it here
    ),
    Axis(
        "precision",
        "number type of weights and activations",
        default="float32",
        values=PRECISIONS.names,
        about="Type that the network computes in: a name, or a mapping of a name, a dtype and options.",
        stage="lower",
        also=lowering_options,
        described=Described(PrecisionForm, read_precision, options_of, as_written),
        compared_within=False,
    ),
    Axis(
        "batch",
        "samples in one call; null where the network stays as its file has it",
        default=1,
        type="int32",
        unit="samples",
        least=1,
        most=65_536,
        about="Size of the leading dimension of the inputs, or of that which `batch:` of a model names. Where none is "
        "listed: 1 where these are open or 1, else what the network's file has.",
        label="batch{}",
        stage="import",
        in_other_runtimes=True,
        keep=6,
    ),
    Axis("device", "device of the cluster file", in_other_runtimes=True, keep=7),
    Axis(
        "runtime",
        "tvm for what is compiled here, or another that ran the network as imported",
        in_other_runtimes=True,
        compared_within=False,
    ),
)
"""In the order in which a cell names them."""

FIRST = tuple(axis.name for axis in _ROWS)
"""The axes that are fields of a cell and part of every id. Never longer: a further row goes to `_FURTHER`."""
_FURTHER: tuple[Axis, ...] = (
    Axis(
        "mode",
        "inference, or training: forward, backward and a step of the optimiser",
        default=INFERENCE,
        values=MODES,
        about="inference: a call; training: forward, backward and a step of stochastic gradient descent, by torch.",
        stage="measure",
        in_other_runtimes=True,
        only_elsewhere=(TRAINING,),
        keep=8,
    ),
    Axis(
        "variable",
        "what is observed: latency, or memory in a process of its own",
        default=LATENCY,
        values=VARIABLES,
        about="What is observed; `profile.observe` says it too.",
        stage="measure",
        in_other_runtimes=True,
        keep=8,
    ),
)

AXES: Registry[Axis] = Registry("axis", "sweep.axes", {axis.name: axis for axis in (*_ROWS, *_FURTHER)})

# -- orders of them: an axis that is not named here comes behind those that are ---------------------------------------

_LOOPS = ("target", "layout", "precision", "batch", "tuner", "opt_level")
_PROMISING = ("opt_level", "target", "precision", "layout", "batch")
_COORDINATES = ("opt_level", "batch", "tuner", "precision", "layout", "device", "target", "model")
USUALLY_SHOWN = ("opt_level", "tuner", "device", "model")
"""What a picture of parallel coordinates shows where no axis has two values."""


def all_axes() -> tuple[Axis, ...]:
    """All axes: the nine first ones, then the others."""
    return tuple(_table().values())


def axis_names() -> tuple[str, ...]:
    """Names of all axes, in the order in which a cell names them."""
    return tuple(_table())


def axis_of(name: str) -> Axis:
    """The axis of a name. Raises StudyError where there is none."""
    return _table().get(name) or AXES.get(name)


def further_axes() -> tuple[Axis, ...]:
    """Those that came after the first nine: no fields of a cell, and part of an id where not at their default."""
    return all_axes()[len(FIRST) :]


def axes_under() -> tuple[Axis, ...]:
    """Those whose values a study lists under `axes:`, each of which has a default that is not worth a word."""
    return tuple(axis for axis in all_axes() if axis.default is not None and not axis.key)


def listed_axes() -> tuple[Axis, ...]:
    """Those whose values a study lists, under `axes:` or under a key of their own."""
    return tuple(axis for axis in all_axes() if axis.default is not None)


def compared_within() -> tuple[str, ...]:
    """Axes on which two cells agree that can be compared: what is to be done, and where."""
    return tuple(axis.name for axis in all_axes() if axis.compared_within)


def axes_of_layers() -> tuple[str, ...]:
    """Axes on which cells agree that have the same layers."""
    return ("model", *(axis.name for axis in all_axes() if axis.stage in ("import", "lower")))


def loops() -> tuple[str, ...]:
    """The loops of the grid over the compiled cells of a model and a device, the outermost first."""
    *outer, tuner, opt_level = _LOOPS
    return (*outer, *_further_names(), tuner, opt_level)


def of_compiled(axes: Mapping[str, tuple[Any, ...]]) -> Mapping[str, tuple[Any, ...]]:
    """Values by axis, without those that no compiled cell has."""
    barred = {axis.name: axis.only_elsewhere for axis in all_axes() if axis.only_elsewhere}
    left = {name: tuple(value for value in axes[name] if value not in no) for name, no in barred.items()}
    return {**axes, **left}


def by_promise() -> tuple[str, ...]:
    """Axes beside the tuner; what tells most of how fast a cell will be comes first."""
    return (*_PROMISING, *_further_names())


def parallel_coordinates() -> tuple[str, ...]:
    """Axes for a picture of parallel coordinates, whose first labels are cut at the edge: short ones first."""
    return (*_COORDINATES, *_further_names())


# -- values: of a cell (`Cell.axes`) or of a row of a table -----------------------------------------------------------


def value_in(values: Mapping[str, Any], name: str) -> Any:
    """The value of an axis; its default where the values are older than the axis. Raises StudyError: no such axis."""
    return values[name] if name in values else axis_of(name).default


def stage_options(
    kind: str, values: Mapping[str, Any], described: DescribedValues = NOTHING_DESCRIBED
) -> dict[str, Any]:
    """What the options of a kind of stage say of the axes: the first ones always, others where not at the default.

    described: of a study, values that it writes with options, by axis and name.
    """
    taken = {axis.name: axis for axis in all_axes() if axis.stage == kind}
    defaults = {name: axis.default for name, axis in taken.items()}
    options = identifying({name: value_in(values, name) for name in taken}, FIRST, defaults)
    for name, value in tuple(options.items()):
        axis, own = taken[name], described.get(name, {})
        if axis.described is not None and value in own:
            del options[name]
            options |= axis.described.options(own[value])
        elif axis.also is not None:
            options |= axis.also(value)
    return options


def unusual(values: Mapping[str, Any], axes: Iterable[Axis]) -> list[str]:
    """Labels of the values that are not the default."""
    found = ((axis, value_in(values, axis.name)) for axis in axes)
    return [axis.label_of(value) for axis, value in found if value != axis.default and value is not None]


def _further_names() -> tuple[str, ...]:
    return tuple(axis.name for axis in further_axes())


def _table() -> dict[str, Axis]:
    return _table_at(AXES.version)


@lru_cache(maxsize=1)
def _table_at(version: int) -> dict[str, Axis]:
    """Read once, and again when one was registered: to look for installed packages' takes 10 ms."""
    table = dict(AXES.items())
    for name, axis in table.items():
        if axis.name != name:
            raise StudyError("is registered under another name than its own", key="axes", value=axis.name, allowed=name)
        if name not in FIRST and axis.default is None:
            raise StudyError("is an axis without a default", key="axes", value=name, allowed="one with a default")
    return table
