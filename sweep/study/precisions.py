"""The table of precisions: the number types that a network may compute in, and how far its output may then be off.

A further precision is one more row, or a `Precision` that another package offers under the entry-point group
`sweep.precisions`. A study may describe its own: one of these number types with options (`sweep.study.precision_form`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.registry import Registry
from sweep.study.axis import NOTHING_DESCRIBED, DescribedValues

__all__ = ["PRECISIONS", "QUANTISED", "Precision", "lowering_options", "options_of", "precision_of", "tolerance_of"]


QUANTISED: Mapping[str, Any] = {
    "strategy": "symmetry_max",
    "per": "channel",
    "calibrate": "minmax",
    "execution": "integer",
}
"""How a network is quantised, and what the quantised one computes in, where nothing is said."""


@dataclass(frozen=True, slots=True)
class Precision:
    """One value of the precision axis."""

    name: str
    dtype: str
    """The number type that the network is converted to when it is lowered."""
    tolerance: float | None
    """Largest difference from the expected output, relative to its largest value: a cell that differs by more has
    failed. None: the output may differ, as that of a quantised network does; how far it is off is
    then recorded as the cell's quality, and no cell fails by it."""
    passes: tuple[str, ...] = ()
    """Passes that convert a network to it, each `module:attribute` of something that makes a pass when it is called;
    empty: those that lowering has for the number type."""
    needs_calibration: bool = False
    """Whether ranges of the activations must be observed on sample inputs first."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """How the network is converted, beside the number type, every default filled in: of a quantised one `strategy`,
    `per`, `calibrate` and `execution`; of one that keeps some layers in float32 `float32`, `float32_first`,
    `float32_last`."""

    @property
    def is_quantised(self) -> bool:
        """Whether a float network is calibrated and quantised for it."""
        return "strategy" in self.options


PRECISIONS: Registry[Precision] = Registry(
    "precision",
    "sweep.precisions",
    {
        precision.name: precision
        for precision in (
            Precision("float32", "float32", tolerance=1e-3),
            Precision("float16", "float16", tolerance=1e-2),  # keeps 11 bits of a number
            Precision("bfloat16", "bfloat16", tolerance=None),  # keeps 8: how far that leads is its quality
            Precision("int8", "int8", tolerance=None, needs_calibration=True, options=QUANTISED),
        )
    },
)


def precision_of(name: str, described: DescribedValues = NOTHING_DESCRIBED) -> Precision:
    """The precision of a name: a study's own, or one of the table. Raises StudyError where there is none.

    described: what a study writes with options (`Study.described`).
    """
    own = described.get("precision", {})
    found: Precision = own[name] if name in own else PRECISIONS.get(name)
    return found


def tolerance_of(name: str, described: DescribedValues = NOTHING_DESCRIBED) -> float | None:
    """Largest difference from the expected output; None where it may differ, and of a study's own precision that is
    told by its name alone: what was checked as the sweep ran is not checked again.
    """
    is_known = name in PRECISIONS or name in described.get("precision", {})
    return precision_of(name, described).tolerance if is_known else None


def lowering_options(name: str) -> dict[str, Any]:
    """What a lower stage must know of a precision of the table beside its name: its number type, where that has another
    name, its own passes, and its options. The process that lowers has no such table.
    """
    precision = PRECISIONS.get(name)
    if precision.is_quantised:
        return _of_quantised(precision)
    dtype = {} if precision.dtype == name else {"dtype": precision.dtype}
    passes = {"passes": list(precision.passes)} if precision.passes else {}
    return dtype | passes | ({"precision_options": dict(precision.options)} if precision.options else {})


def options_of(precision: Precision) -> dict[str, Any]:
    """What a lower stage must know of a study's own precision, which is not its name: what has the same options, or is
    in the table with them, is one stage.
    """
    if precision.is_quantised:
        return {"precision": precision.dtype} | _of_quantised(precision)
    options = {"precision_options": dict(precision.options)} if precision.options else {}
    of_type = lowering_options(precision.dtype)
    of_type.pop("precision_options", None)
    return {"precision": precision.dtype} | of_type | options


def _of_quantised(precision: Precision) -> dict[str, Any]:
    """The network that is lowered is quantised already: its numbers are floats between roundings, or made integers."""
    return {"dtype": "float32", "execution": precision.options["execution"]}
