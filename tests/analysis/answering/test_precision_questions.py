"""Every number and every verdict of the sentences on layouts, number types, opt levels and AVX2, against the rows."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.analysis.answering.precision_questions import question_lines
from tests.analysis.answering.mixed_grids import row_of

EXAMPLES = settings.default.max_examples

Row = dict[str, Any]
TARGETS = {
    "old": {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "nehalem"},
    "avx2": {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "core-avx2"},
    "wide": {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "skylake-avx512"},
    "arm": {"kind": "llvm", "mtriple": "aarch64-linux-gnu"},
}
CPU = "Some CPU 1234"
TITLES = {"onnxruntime": "ONNX Runtime", "litert": "LiteRT"}


@st.composite
def grids(draw: st.DrawFn) -> list[Row]:
    """Cells of two models on a device: layouts, precisions, opt levels, targets, evaluated or not."""
    rows = []
    for model in ("alpha", "beta"):
        source = draw(st.sampled_from(("float32", "int8", None)))
        for _ in range(draw(st.integers(0, 8))):
            runtime = draw(st.sampled_from(("tvm", "tvm", "tvm", "litert")))
            median = draw(st.floats(0.5, 50.0))
            spread = draw(st.sampled_from((0.0, 0.01, 0.4)))
            level = draw(st.sampled_from((1, 3))) if runtime == "tvm" else None
            row = row_of(
                model, "here", "none" if level else "-", level, runtime=runtime,
                ms=(median, median * (1 - spread), median * (1 + spread)),
            )  # fmt: skip
            target = draw(st.sampled_from(sorted(TARGETS))) if runtime == "tvm" else "-"
            row |= {
                "cell_name": f"{row['cell_name']} {len(rows)}",
                "cell_id": str(len(rows)),
                "target": target,
                "layout": draw(st.sampled_from(("NCHW", "NHWC"))),
                "precision": draw(st.sampled_from(("float32", "int8"))),
                "source_number_type": source,
                "target_json": json.dumps(TARGETS[target]) if target in TARGETS else None,
                "conditions_json": json.dumps({"cpu_model": CPU}),
            }
            if draw(st.booleans()):
                right = draw(st.integers(0, 200))
                ends = {"accuracy_ci_low": max(0.0, right / 200 - 0.03), "accuracy_ci_high": right / 200 + 0.02}
                row |= {"accuracy": right / 200, "evaluated_samples": 200, **ends}
            rows.append(row)
    return rows


def kind_of(row: Row) -> str:
    return (row["source_number_type"] or "float32") if row["precision"] == "float32" else row["precision"]


def fastest(rows: list[Row]) -> Row | None:
    return min(rows, key=lambda row: row["latency_ms_median"]) if rows else None


def expected_pairs(rows: list[Row]) -> list[tuple[str, Row, Row]]:
    """(question, ours, other) of each sentence that compares two, found without the code under test."""
    pairs = []
    for model in ("alpha", "beta"):
        of_model = [row for row in rows if row["model"] == model]
        compiled = [row for row in of_model if row["runtime"] == "tvm"]
        for kind in ("float32", "int8"):
            ours = [row for row in compiled if kind_of(row) == kind]
            source = fastest([row for row in of_model if row["runtime"] != "tvm" and kind_of(row) == kind])
            by_layout = {at: fastest([row for row in ours if row["layout"] == at]) for at in ("NHWC", "NCHW")}
            asks = any(row["layout"] == "NHWC" for row in compiled)
            for layout, best in by_layout.items():
                if source and best and asks:
                    pairs.append((f"TVM's .*{layout} in {kind} against LiteRT", best, source))
            if by_layout["NHWC"] and by_layout["NCHW"]:
                pairs.append((f"NHWC in {kind} against NCHW", by_layout["NHWC"], by_layout["NCHW"]))
            if kind == "int8" and source and ours:
                pairs.append(("int8 compiled here against LiteRT's int8", fastest(ours), source))
            wide, old = (fastest([row for row in ours if row["target"] == name]) for name in ("avx2", "old"))
            if wide and old:
                pairs.append((rf"AVX2 \(avx2\) in {kind} against old without", wide, old))
    return pairs


def check_pair(line: str, ours: Row, other: Row) -> None:
    times = re.search(r"without: |NCHW: |LiteRT: |int8: ", line)
    assert times, line
    shown = re.findall(r"([\d.]+) ms", line)
    for text, row in zip(shown, (ours, other), strict=True):
        assert close(text, row["latency_ms_median"]), (line, row["latency_ms_median"])
    said = re.search(r"\((FASTER|SLOWER|AMBIGUOUS)\)", line)
    assert said, line
    if ours["latency_ms_ci_high"] < other["latency_ms_ci_low"]:
        expected = "FASTER"
    elif other["latency_ms_ci_high"] < ours["latency_ms_ci_low"]:
        expected = "SLOWER"
    else:
        expected = "AMBIGUOUS"
    assert said[1] == expected, line
    factor = re.search(r"; ([\d.]+)x (faster|slower) than", line)
    if factor:
        ratio = other["latency_ms_median"] / ours["latency_ms_median"]
        assert close(factor[1], ratio if factor[2] == "faster" else 1 / ratio), line
    accuracies = re.findall(r"([\d.]+)% \[", line)
    if "accuracy" in ours and "accuracy" in other:
        assert [float(text) for text in accuracies] == [round(row["accuracy"] * 100, 2) for row in (ours, other)]
    else:
        assert not accuracies


def close(text: str, value: float) -> bool:
    """Whether a number as shown is the value, rounded to its digits."""
    digits = len(text.partition(".")[2])
    return abs(float(text) - value) <= 0.5000001 * 10**-digits or abs(float(text) / value - 1) < 0.0051


def levels_of(rows: list[Row], model: str, kind: str) -> dict[int, Row]:
    """The fastest compiled row of each opt level: of those that were evaluated, where there are two; else of all where
    the study asks about layouts.
    """
    compiled = [row for row in rows if row["model"] == model and row["runtime"] == "tvm"]
    of_kind = [row for row in compiled if kind_of(row) == kind]
    asks = any(row["layout"] == "NHWC" for row in compiled)
    for chosen in ([row for row in of_kind if "accuracy" in row], of_kind if asks else []):
        best = {level: fastest([row for row in chosen if row["opt_level"] == level]) for level in (1, 3)}
        found = {level: row for level, row in best.items() if row is not None}
        if len(found) == 2:
            return found
    return {}


def check_levels(line: str, rows: list[Row]) -> None:
    found = re.match(r"(\w+) on here, opt levels in (\w+): (.*); O(\d) is .*\((\w+)\)(?:; (.*))?\.$", line)
    assert found, line
    model, kind, told, best, said, spread = found.groups()
    levels = levels_of(rows, model, kind)
    shown = re.findall(r"O(\d) ([\d.]+) ms(?: ([\d.]+)% \[)?", told)
    assert [int(level) for level, *_ in shown] == [1, 3], line
    for level, ms, accuracy in shown:
        row = levels[int(level)]
        assert close(ms, row["latency_ms_median"])
        assert float(accuracy or -1) == (-1 if spread is None else round(row["accuracy"] * 100, 2))
    ordered = sorted((row for row in levels.values() if row), key=lambda row: row["latency_ms_median"])
    assert int(best) == ordered[0]["opt_level"]
    apart = ordered[0]["latency_ms_ci_high"] < ordered[1]["latency_ms_ci_low"]
    assert said == ("FASTER" if apart else "AMBIGUOUS")
    if spread is None:
        assert len(levels_of([row for row in rows if "accuracy" in row], model, kind)) < 2, "what is known is told"
        return
    accuracies = sorted(row["accuracy"] for row in ordered)
    if accuracies[0] == accuracies[1]:
        assert spread == "all are equally accurate"
    else:
        assert close(re.search(r"is ([\d.]+) points", spread)[1], (accuracies[1] - accuracies[0]) * 100)  # type: ignore[index]


@settings(
    max_examples=2 * EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(grids())
def test_every_number_and_verdict_holds_and_no_question_is_left_out(rows: list[Row]) -> None:
    lines = question_lines(rows, most=1_000)
    levels = [line for line in lines if ", opt levels in " in line]
    for line in levels:
        check_levels(line, rows)
    asked = [
        (model, kind) for model in ("alpha", "beta") for kind in ("float32", "int8") if levels_of(rows, model, kind)
    ]
    assert len(levels) == len(asked)
    pairs = expected_pairs(rows)
    left = [line for line in lines if line not in levels]
    for question, ours, other in pairs:
        (line,) = (
            line for line in left if re.match(rf"{ours['model']} on here(?: on {CPU})?, {question}: ", line)
        )  # fmt: skip
        check_pair(line, ours, other)
        assert ("AVX2" in line) == (CPU in line)
    assert len(left) == len(pairs)


def test_a_study_that_asks_none_of_it_has_no_such_sentence() -> None:
    rows = [row_of("alpha", "here", "none", 3, ms=(1, 1, 1)), row_of("alpha", "here", "-", None, runtime="onnxruntime")]
    assert question_lines(rows) == []


def test_many_are_counted() -> None:
    rows = []
    for number in range(30):
        for layout in ("NCHW", "NHWC"):
            row = row_of(f"m{number}", "here", "none", 3, ms=(1, 1, 1))
            rows.append({**row, "layout": layout, "cell_id": f"{number} {layout}"})
    assert len(question_lines(rows, most=5)) == 6
    assert question_lines(rows, most=5)[-1] == "And 25 more of the kind."
