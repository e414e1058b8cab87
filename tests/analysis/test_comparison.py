"""Two cells beside each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweep.analysis.comparison import MeasuredCell, compare_cells, find_cell
from sweep.errors import StudyError

NAMES = ("net native xgb O3 one", "net native none O3 one", "net native xgb O1 one", "net onnxruntime one")
ROWS = [{"cell_id": f"{index}abcdef", "cell_name": name} for index, name in enumerate(NAMES)]
FAST = (1.00e-3, 1.01e-3, 1.02e-3, 1.00e-3, 0.99e-3, 1.01e-3, 1.00e-3, 1.01e-3)
SLOW = tuple(1.2 * value for value in FAST)


def cell(run_secs: tuple[float, ...] = FAST, name: str = "a", host: str | None = "box", **row: Any) -> MeasuredCell:
    conditions = {"host": host, "cpu_model": "cpu"} if host else {}
    given = {
        "cell_id": name,
        "cell_name": name,
        "status": "done",
        "error": None,
        "device": "d",
        "conditions_json": json.dumps(conditions),
        "is_stable": True,
    }
    return MeasuredCell.of(given | row, run_secs)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("net native xgb O3 one", 0), ("2abcdef", 2), ("1abc", 1), ("O1", 2), ("onnxruntime", 3), ("none O3", 1)],
)
def test_a_cell_is_meant_by_name_id_or_words(wanted: str, index: int) -> None:
    assert find_cell(ROWS, wanted) is ROWS[index]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [("xgb", "means several cells"), ("O7", "is no cell"), ("1a", "is no cell"), (" ", "is no cell")],
)
def test_what_means_no_cell_or_several_is_refused_with_the_names(wanted: str, problem: str) -> None:
    with pytest.raises(StudyError, match=problem) as caught:
        find_cell(ROWS, wanted)
    assert NAMES[0] in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "verdict", "words"),
    [
        (FAST, SLOW, "FASTER", "a is faster, 1.20x"),
        (SLOW, FAST, "SLOWER", "a is slower, 1.20x"),
        (FAST, FAST, "SAME", "they are the same within 2 %"),
        (FAST[:1], SLOW, "AMBIGUOUS", "these repeats do not tell which is faster"),
    ],
)
def test_verdicts_in_words_and_as_data(
    first: tuple[float, ...], second: tuple[float, ...], verdict: str, words: str
) -> None:
    found = compare_cells(cell(first, "a"), cell(second, "b"))
    assert found.as_text().splitlines()[-1] == f"{verdict}: {words}"
    data = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert data["verdict"] == verdict
    assert [one["name"] for one in data["cells"]] == ["a", "b"]
    assert data["cells"][1]["run_secs"] == list(second)
    if verdict != "AMBIGUOUS":
        assert data["ratio_ci_low"] <= data["ratio"] <= data["ratio_ci_high"]


def test_hosts_are_not_compared_unless_told() -> None:
    here, there = cell(host="box"), cell(SLOW, "b", host="other")
    with pytest.raises(StudyError, match=r"different hosts \(got 'box, cpu; other, cpu'\); allowed: .*--across-hosts"):
        compare_cells(here, there)
    assert "note: measured on two hosts: box, cpu and other, cpu" in compare_cells(here, there, True).as_text()
    with pytest.raises(StudyError, match="unknown"):
        compare_cells(here, cell(host=None))


def test_an_unstable_measurement_is_told_of() -> None:
    assert "a is not stable" in compare_cells(cell(is_stable=False), cell(SLOW, "b")).as_text()


@pytest.mark.parametrize(
    "changes", [{"status": "failed", "error": "out of memory"}, {"status": "done", "run_secs": ()}]
)
def test_a_cell_without_a_measurement_says_why(changes: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="has no measurement to compare") as caught:
        cell(**{"run_secs": FAST, **changes})
    assert ("out of memory" in str(caught.value)) == (changes["status"] == "failed")
