"""The table of precisions: the number types that a network may compute in, and how far its output may then be off.

A further precision is one more row, or a `Precision` that another package offers under the entry-point group
`sweep.precisions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sweep.registry import Registry

__all__ = ["PRECISIONS", "Precision", "lowering_options", "tolerance_of"]


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


PRECISIONS: Registry[Precision] = Registry(
    "precision",
    "sweep.precisions",
    {
        precision.name: precision
        for precision in (
            Precision("float32", "float32", tolerance=1e-3),
            Precision("float16", "float16", tolerance=1e-2),  # keeps 11 bits of a number
        )
    },
)


def tolerance_of(name: str) -> float | None:
    """Largest difference from the expected output; none where it may differ. Raises StudyError."""
    return PRECISIONS.get(name).tolerance


def lowering_options(name: str) -> dict[str, Any]:
    """What a lower stage must know of a precision beside its name: its number type, where that has another name, and
    its own passes. The process that lowers has no such table.
    """
    precision = PRECISIONS.get(name)
    dtype = {} if precision.dtype == name else {"dtype": precision.dtype}
    return dtype | ({"passes": list(precision.passes)} if precision.passes else {})
