"""A ratio is to the baseline that differs in nothing else: with a wrong one each claim of a report would be wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.outcome import CellOutcome, CellStatus
from sweep.analysis.rows.results import Row, derive
from sweep.planning.results.compiling import BuildResult, ImportResult, LowerResult
from sweep.planning.results.disturbance import Disturbance, DisturbanceKind
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.study.spec import Cell
from tests.record.fixtures import sweep_outcome

TUNED = Cell("net", "native", "xgb", 3, "NCHW", "float32", 1, "board", "tvm")
UNTUNED = replace(TUNED, tuner="none")
RIVAL = Cell("net", "-", "-", None, "NCHW", "float32", 1, "board", "onnxruntime")
OTHER: dict[str, Any] = {
    "model": "another",
    "target": "avx2",
    "opt_level": 1,
    "layout": "NHWC",
    "precision": "float16",
    "batch": 8,
    "device": "another board",
}
"""Another value of each axis that two compiled cells may differ in, tuner and runtime aside."""
DEFINES_THE_WORK = ("model", "batch", "device")
"""Axes on which a network in another runtime must agree; the others are this project's own choices."""


SLOWING = (
    DisturbanceKind.KERNEL_SLOWED,
    DisturbanceKind.KERNEL_DRIFTED,
    DisturbanceKind.FOREIGN_THREADS,
    DisturbanceKind.OTHERS_TOOK,
    DisturbanceKind.HYPERVISOR_TOOK,
)
"""What cannot have made a number smaller."""


def measured(cell: Cell, latency_ms: float, status: CellStatus = "done") -> CellOutcome:
    stages: dict[str, StageResult] = {
        "import": ImportResult(),
        "measure": Measurement((latency_ms / 1e3,) * 5, output_max_abs_diff=1e-6),
    }
    if cell.runtime == "tvm":
        stages |= {"lower": LowerResult(), "build": BuildResult()} | (
            {} if cell.tuner == "none" else {"tune": TuneResult()}
        )
    return CellOutcome(cell, status, error="disturbed" if status == "tainted" else None, stages=stages)


def first_row(tmp_path: Path, *outcomes: CellOutcome) -> Row:
    return derive(sweep_outcome(tmp_path, cells=list(outcomes))).cells[0]


def test_the_other_runtime_at_the_same_batch(tmp_path: Path) -> None:
    """Whichever batch is measured last, each cell's ratio is to its own."""
    cells = [measured(replace(TUNED, batch=batch), batch * 3.0) for batch in (1, 2, 4)]
    rivals = [measured(replace(RIVAL, batch=batch), latency_ms) for batch, latency_ms in ((4, 6.0), (1, 2.0), (2, 5.0))]
    for order in (rivals, rivals[::-1]):
        rows = derive(sweep_outcome(tmp_path, cells=[*cells, *order])).cells
        assert [row["ratio_to_onnxruntime"] for row in rows[:3]] == pytest.approx([3 / 2, 6 / 5, 12 / 6])


@pytest.mark.parametrize("axis", DEFINES_THE_WORK)
def test_no_other_runtimes_time_at_other_work(axis: str, tmp_path: Path) -> None:
    elsewhere = measured(replace(RIVAL, **{axis: OTHER[axis]}), 7.0)
    assert first_row(tmp_path, measured(TUNED, 3.0), elsewhere)["ratio_to_onnxruntime"] is None
    row = first_row(tmp_path, measured(TUNED, 3.0), measured(RIVAL, 2.0), elsewhere)
    assert row["ratio_to_onnxruntime"] == pytest.approx(1.5)


@pytest.mark.parametrize("axis", sorted(OTHER.keys() - set(DEFINES_THE_WORK)))
def test_one_time_of_the_other_runtime_for_all_choices_made_here(axis: str, tmp_path: Path) -> None:
    row = first_row(tmp_path, measured(replace(TUNED, **{axis: OTHER[axis]}), 3.0), measured(RIVAL, 2.0))
    assert row["ratio_to_onnxruntime"] == pytest.approx(1.5)


@pytest.mark.parametrize("axis", OTHER)
def test_untuned_with_everything_else_alike(axis: str, tmp_path: Path) -> None:
    elsewhere = measured(replace(UNTUNED, **{axis: OTHER[axis]}), 7.0)
    assert first_row(tmp_path, measured(TUNED, 3.0), elsewhere)["speedup_vs_untuned"] is None
    row = first_row(tmp_path, measured(TUNED, 3.0), measured(UNTUNED, 12.0), elsewhere)
    assert row["speedup_vs_untuned"] == pytest.approx(4.0)


def test_a_baseline_is_compared_with_itself_or_not_at_all(tmp_path: Path) -> None:
    outcomes = [measured(TUNED, 3.0), measured(UNTUNED, 12.0), measured(RIVAL, 2.0)]
    rows = derive(sweep_outcome(tmp_path, cells=outcomes)).cells
    assert [row["speedup_vs_untuned"] for row in rows] == [pytest.approx(4), 1, None]
    assert [row["ratio_to_onnxruntime"] for row in rows] == [pytest.approx(1.5), pytest.approx(6), 1]


def disturbed(cell: Cell, latency_ms: float, kind: DisturbanceKind) -> CellOutcome:
    before = measured(cell, latency_ms, "tainted")
    measurement = before.result(Measurement)
    assert measurement is not None
    return replace(before, stages={**before.stages, "measure": replace(measurement, tainted=(Disturbance(kind),))})


def columns(row: Row) -> tuple[object, ...]:
    names = ("speedup_vs_untuned", "speedup_bound", "ratio_to_baseline", "ratio_bound", "ratio_to_onnxruntime")
    return tuple(row[name] for name in names)


@pytest.mark.parametrize("kind", sorted(set(DisturbanceKind) - set(SLOWING)))
def test_what_cannot_be_read_is_compared_with_nothing(kind: DisturbanceKind, tmp_path: Path) -> None:
    others = [measured(UNTUNED, 12.0), measured(RIVAL, 2.0)]
    assert columns(first_row(tmp_path, disturbed(TUNED, 3.0, kind), *others)) == (None,) * 5
    baselines = [disturbed(UNTUNED, 12.0, kind), disturbed(RIVAL, 2.0, kind)]
    assert columns(first_row(tmp_path, measured(TUNED, 3.0), *baselines)) == (None,) * 5


@pytest.mark.parametrize("kind", SLOWING)
def test_of_what_was_slowed_each_ratio_is_an_end(kind: DisturbanceKind, tmp_path: Path) -> None:
    """A tainted cell is at least so much faster; against tainted ones a clean cell is at most, or takes at least."""
    slowed = columns(first_row(tmp_path, disturbed(TUNED, 3.0, kind), measured(UNTUNED, 12.0), measured(RIVAL, 2.0)))
    assert slowed == (pytest.approx(4), "at_least", pytest.approx(1.5), "at_most", pytest.approx(1.5))
    clean = columns(
        first_row(tmp_path, measured(TUNED, 3.0), disturbed(UNTUNED, 12.0, kind), disturbed(RIVAL, 2.0, kind))
    )
    assert clean == (pytest.approx(4), "at_most", pytest.approx(1.5), "at_least", None)
    both = columns(first_row(tmp_path, disturbed(TUNED, 3.0, kind), disturbed(UNTUNED, 12.0, kind)))
    assert both == (None,) * 5
