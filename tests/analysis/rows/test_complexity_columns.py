"""What a network costs stands in its cells' rows, where its import counted it."""

from __future__ import annotations

from typing import Any

from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.column_groups.complexity_columns import COMPLEXITY_COLUMNS
from sweep.analysis.rows.results import derive
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.measurement import Measurement
from sweep.study.spec import Cell

COSTS = {
    "parameters": 27, "nnz": 18, "sparsity": 1 / 3, "macs_dense": 270, "macs_sparse": 180, "peak_activation_bytes": 96,
}  # fmt: skip


def test_a_row_has_what_the_import_counted(tmp_path: Any) -> None:
    cells = [
        CellOutcome(
            Cell("net", "native", "none", 0, "NCHW", "float32", 1, "here", "tvm"),
            "done",
            stages={"import": imported, "measure": Measurement((0.001,) * 6, number=1)},
        )
        for imported in (ImportResult(complexity=COSTS), ImportResult())
    ]
    counted, earlier = derive(SweepOutcome("s", "", tuple(cells), 0.0, 1.0, False, {}, {}, tmp_path)).cells

    assert {column.name for column in COMPLEXITY_COLUMNS} == COSTS.keys()
    assert {name: counted[name] for name in COSTS} == COSTS
    assert {earlier[name] for name in COSTS} == {None}
