"""Columns of the number types that a cell multiplies in, as its lowering counted them."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.analysis.rows.column import CellFacts, Column, Detail
from sweep.planning.results.compiling import LowerResult

__all__ = ["MAC_COLUMNS"]


def _macs(facts: CellFacts) -> Mapping[str, int]:
    lowered = facts.outcome.result(LowerResult)
    return (lowered.macs_by_type or {}) if lowered is not None else {}


def _share(facts: CellFacts) -> float | None:
    macs = _macs(facts)
    whole = sum(macs.values())
    return sum(many for dtype, many in macs.items() if dtype.startswith("int")) / whole if whole else None


def _text(facts: CellFacts) -> str | None:
    return ", ".join(f"{dtype} {many}" for dtype, many in _macs(facts).items()) or None


MAC_COLUMNS = (
    Column(
        "int_macs_share",
        "float64",
        "share of the multiply-accumulates of its compiled code that run in integers",
        value=_share,
        metric="size/int_macs_share",
        detail=Detail("integer MACs", "{:.0%}".format, "share run in integers", 72),
    ),
    Column("macs_by_type", "text", "multiply-accumulates of its compiled code by number type", value=_text),
)
