"""The number types that a cell multiplies in stand in its row, where its lowering counted them."""

from __future__ import annotations

from typing import Any

from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.results import derive
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.measurement import Measurement
from sweep.study.spec import Cell


def test_a_row_has_the_share_that_runs_in_integers(tmp_path: Any) -> None:
    cells = [
        CellOutcome(
            Cell("net", "native", "none", level, "NCHW", "float32", 1, "here", "tvm"),
            "done",
            stages={"lower": LowerResult(macs_by_type=macs), "measure": Measurement((0.001,) * 6, number=1)},
        )
        for level, macs in enumerate(({"float32": 25, "int16": 25, "int8": 50}, {"float32": 7}, {}, None))
    ]
    rows = derive(SweepOutcome("s", "", tuple(cells), 0.0, 1.0, False, {}, {}, tmp_path)).cells

    assert [row["int_macs_share"] for row in rows] == [0.75, 0.0, None, None]
    assert [row["macs_by_type"] for row in rows] == ["float32 25, int16 25, int8 50", "float32 7", None, None]
