"""Advice on layers, in rows and words, with the cells that follow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.analysis.rows.advice_rows import advice_lines, advice_words, advised_step
from sweep.analysis.rows.results import Results
from sweep.planning.results.compiling import LowerResult
from sweep.planning.results.layer_advice_results import (
    AdvisedStep,
    LayerAdvice,
    LayerLatencies,
    PlacedLayer,
    TimedKernel,
)
from sweep.planning.results.quantising import QuantiseResult
from sweep.planning.results.tuning_result import TuneResult
from tests.analysis.rows.advised import ADVICE, ERRORS, advised_cell, results_of


@pytest.fixture
def results() -> Results:
    cells = (advised_cell("mix", 0.0012, ["b"]), advised_cell("int8", 0.0010))
    return results_of(cells)


def test_the_fewest_layers_are_advised_that_leave_half_of_the_distance() -> None:
    def advised(*distances: float) -> float | None:
        step = advised_step(LayerAdvice(steps=tuple(AdvisedStep(("x",) * n, far) for n, far in enumerate(distances))))
        return None if step is None else step.cosine_distance

    assert advised(0.010, 0.006, 0.004, 0.001) == 0.004
    assert advised(0.010, 0.009, 0.007, 0.008) == 0.007
    assert advised(0.010, 0.011) is None
    assert advised(0.0, 0.0) is None


def test_a_row_tells_what_is_advised_and_what_came_of_who_follows(results: Results) -> None:
    (row,) = results.summary.advice
    assert (row["precision"], row["advised"]) == ("int8", ["b", "a"])
    assert row["steps"][1]["measured_added_ms"] == pytest.approx(0.2)
    assert advice_words(row) == (
        "net native none O3 int8 here: keep 2 layers in float32, b, a: 40 % of its distance is left, +0.0300 ms by its "
        "kernels; net native none O3 mix here, which keeps 1 layer, was measured at 1.20 ms, +0.200 ms."
    )
    mix, plain = results.cells
    assert (mix["kept_layers"], mix["advised_layers"]) == ("b", None)
    assert (plain["kept_layers"], plain["advised_layers"], plain["advised_cosine_distance"]) == (None, "b, a", 0.004)
    assert plain["advised_added_ms"] == pytest.approx(0.03)


def test_advice_on_a_precision_that_keeps_a_layer_anyway_tells_of_further_ones() -> None:
    cells = (advised_cell("mix", 0.0012, ["first", "b"]), advised_cell("int8-first", 0.0010, ["first"]))
    results = results_of(cells)
    (row,) = results.summary.advice
    assert (row["precision"], row["kept"], row["advised"]) == ("int8-first", ["first"], ["b", "a"])
    assert row["steps"][1]["measured_added_ms"] == pytest.approx(0.2)
    assert "keep 2 further layers in float32, b, a" in advice_words(row)
    assert "net native none O3 mix here, which keeps 1 further layer, was measured at 1.20 ms" in advice_words(row)
    assert [cell["advised_layers"] for cell in results.cells] == [None, "b, a"]
    assert {layer["precision"] for layer in results.layers} == {"int8-first"}


def test_a_cell_that_follows_is_not_what_the_advice_is_about() -> None:
    """The cell that was judged is not there, as in a sweep that observes memory alone."""
    results = results_of((advised_cell("mix", 0.0012, ["b"]),))
    assert not results.summary.advice


def test_a_cell_that_shall_follow_takes_nobodys_place_before_it_is_quantised() -> None:
    """What it borrows is done: the network in int8, lowered and tuned, and the advice on it."""
    borrowed = {"quantise": QuantiseResult(quantised_nodes=7), "lower": LowerResult(macs_by_type={"int8": 9})}
    borrowed |= {"tune": TuneResult(trials=64)}
    stages = {f"{kind} of layer_latencies": result for kind, result in borrowed.items()}
    mix = replace(
        advised_cell("mix", 0.0), status="pending", stages={"layer_errors": ERRORS, "layer_advice": ADVICE, **stages}
    )
    results = results_of((mix, advised_cell("int8", 0.001)))
    row = results.cells[0]
    assert [row[name] for name in ("quantised_operators", "advised_layers", "macs_by_type", "tuning_trials")] == [
        None
    ] * 4
    assert [advice["cell_name"] for advice in results.summary.advice] == ["net native none O3 int8 here"]


def test_the_first_lines_are_shown_and_how_many_there_are_more() -> None:
    cells = [advised_cell("int8", 0.001, advice=replace(ADVICE, dir=f"artifacts/{n}")) for n in range(14)]
    cells = [replace(one, cell=replace(one.cell, model=f"net{n}")) for n, one in enumerate(cells)]
    rows = results_of(cells).summary.advice
    lines = advice_lines(rows)
    assert lines[:-1] == list(map(advice_words, rows[:12]))
    assert lines[-1] == "... and 2 other cells; see the report"
    assert advice_lines(rows[:12]) == lines[:-1]


def test_layers_have_their_latency_in_both_builds_once(results: Results) -> None:
    assert {row["precision"] for row in results.layers} == {"int8"}, "not once more for the cell that follows"
    a, b, added = results.layers
    assert (a["float32_ms"], a["quantised_ms"]) == (pytest.approx(0.05), pytest.approx(0.03))
    assert (a["shares_kernel_with"], a["advised_rank"], a["rank"]) == ("sum", 2, 1)
    assert (b["advised_rank"], b["advised_cosine_distance"]) == (1, 0.006)
    assert (added["float32_ms"], added["advised_rank"]) == (None, None)


def test_cells_that_are_not_timed_add_no_layers_of_what_is() -> None:
    """Another runtime, a cell that is run for its memory, and a mix whose own network is not there yet."""
    rival, memory = (advised_cell("int8", 0.0009, runtime=name) for name in ("onnxruntime", "tvm"))
    rival, memory = (
        replace(one, stages={k: v for k, v in one.stages.items() if k != "layer_advice"}) for one in (rival, memory)
    )
    memory = replace(memory, cell=replace(memory.cell, more=(("variable", "memory"),)))
    waiting = advised_cell("mix", 0.0)
    waiting = replace(waiting, status="pending", stages={"layer_errors": ERRORS, "layer_advice": ADVICE})
    other = replace(advised_cell("int8-worst", 0.001, ["a"]), stages={"layer_errors": ERRORS})
    cells = (waiting, rival, memory, advised_cell("int8", 0.001), other)
    found = results_of(cells).layers
    assert [(row["precision"], row["layer"], row["float32_ms"] is not None) for row in found] == [
        *(("int8", layer, layer != "sum") for layer in ("a", "b", "sum")),
        *(("int8-worst", layer, False) for layer in ("a", "b", "sum")),
    ]


def test_a_layer_takes_the_medians_of_its_calls_and_none_where_a_kernel_failed() -> None:
    timed = LayerLatencies(
        kernels=(TimedKernel("k", 2, (1.0, 2.0, 9.0)), TimedKernel("f", 1, (4.0,)), TimedKernel("bad", error="crash")),
        layers=(PlacedLayer("a", "Conv", ("k", "f")), PlacedLayer("b", "Conv", ("bad",)), PlacedLayer("c", "Add")),
    )
    assert timed.seconds() == {"a": 6.0}
    assert timed.total_s == 8.0
