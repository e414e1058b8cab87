"""Columns of quality: from what a stage reports, and against the float32 cell of the same model and samples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sweep.analysis.classification import quality_of
from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.results import Row, derive
from sweep.planning.results.evaluate_result import Evaluation, packed, unpacked
from sweep.study.objective import Objective
from tests.record.fixtures import sweep_outcome

LABELS = [0, 1, 2, 3] * 25


def evaluation(wrong: int, labels: list[int] = LABELS) -> Evaluation:
    """Of so many samples taken for the next class, those of the last classes first."""
    predicted = [(label + (at >= len(labels) - wrong)) % 4 for at, label in enumerate(labels)]
    told = quality_of(np.array(predicted)[:, None], np.array(labels), 4)
    return Evaluation(dataset="d", predicted=packed(predicted), labels=packed(labels), place="here", **told)


def with_quality(outcome: CellOutcome, found: Evaluation, **axes: object) -> CellOutcome:
    stages = {**outcome.stages, "evaluate": found}
    return replace(outcome, cell=replace(outcome.cell, **axes), stages=stages)


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    outcome = sweep_outcome(tmp_path, troubles=False, devices=("local-1",))
    compiled = [cell for cell in outcome.cells if cell.cell.is_compiled]
    rival = next(cell for cell in outcome.cells if not cell.cell.is_compiled)
    cells = [
        with_quality(compiled[0], evaluation(3)),
        with_quality(compiled[1], evaluation(12), precision="int8"),
        with_quality(rival, evaluation(2)),
        with_quality(compiled[2], evaluation(2, LABELS[::-1])),
        compiled[3],
    ]
    limits = Objective(subject_to={"accuracy_drop": 0.05})
    return list(derive(replace(outcome, cells=cells, objective=limits)).cells)


def test_what_the_file_s_runtime_answers_is_what_others_are_held_against(rows: list[Row]) -> None:
    float32, int8, rival, others, without = rows
    assert [row["accuracy"] for row in rows] == [0.97, 0.88, 0.98, 0.98, None]
    assert [row["accuracy_drop"] for row in (float32, int8, rival)] == [0.01, 0.1, 0.0]
    assert {row["accuracy_reference"] for row in (float32, int8, rival)} == {rival["cell_name"]}
    assert [row["agreement"] for row in (float32, int8, rival)] == [0.99, 0.9, 1.0]
    assert int8["mcnemar_p"] == pytest.approx(2 / 2**10)
    assert rival["mcnemar_p"] == 1
    assert others["accuracy_reference"] == others["cell_name"]  # on other samples, so of no use to the others
    assert {without[name] for name in ("accuracy", "accuracy_drop", "agreement", "confusion_json")} == {None}


def test_an_objective_looks_at_the_drop(rows: list[Row]) -> None:
    assert [row["meets_objective"] for row in rows] == [True, False, True, True, None]


def test_the_confusion_matrix_is_kept(rows: list[Row]) -> None:
    told = json.loads(rows[0]["confusion_json"])
    assert told["classes"] == 4
    assert sum(count for truth, guess, count in told["counts"] if truth == guess) == 97


def test_a_cell_that_is_not_float32_is_no_reference(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False, devices=("local-1",))
    cells = [with_quality(cell, evaluation(1), precision="int8") for cell in outcome.cells[:2]]
    for row in derive(replace(outcome, cells=cells)).cells:
        assert row["accuracy"] == 0.99
        assert row["accuracy_drop"] is None


def test_packed_classes_come_back() -> None:
    classes = [Random(0).randrange(1000) for _ in range(5000)]
    assert unpacked(packed(classes)) == classes
    assert len(packed(classes)) < 4 * len(classes)
    with pytest.raises(ValueError, match="Error"):
        unpacked("AAAA")


def test_a_file_that_was_quantised_elsewhere_is_held_against_its_original(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False, devices=("local-1",))
    compiled = [cell for cell in outcome.cells if cell.cell.is_compiled]
    cells = [
        with_quality(compiled[0], evaluation(3), model="net"),
        with_quality(compiled[1], evaluation(12), model="net-int8"),
    ]
    alone, named = (
        derive(replace(outcome, cells=cells, originals=originals)).cells[1] for originals in ({}, {"net-int8": "net"})
    )
    assert (alone["accuracy_drop"], alone["accuracy_reference"]) == (0.0, alone["cell_name"])
    assert (named["accuracy_drop"], named["agreement"]) == (0.09, 0.91)
    assert named["accuracy_reference"] == cells[0].cell.name
