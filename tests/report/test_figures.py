"""What pictures say beyond being drawn: the same colours everywhere, speed-ups that are true, axes that can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.analysis.rows.results import Results, derive
from sweep.analysis.rows.runtime_rows import group_key
from sweep.planning.results.measurement import Measurement
from sweep.report.figures import Figure, figures
from sweep.report.figures.figure import NO_VALUE
from sweep.report.figures.predictions import prediction_figures
from sweep.report.figures.scale import in_unit, ticks_between
from sweep.study.objective import Objective
from tests.record.fixtures import measured, sweep_outcome, tainted


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return derive(sweep_outcome(tmp_path_factory.mktemp("sweep"), models=("squeezenet", "shufflenet")))


def of_section(results: Results, section: str) -> list[Figure]:
    return [one for one in figures(results) if one.section == section]


def test_a_tuner_has_one_colour_on_the_whole_page(results: Results) -> None:
    colours: dict[str, set[str]] = {}
    for figure in of_section(results, "Latency"):
        bar = figure.data[0]
        for label, colour in zip(bar["y"], bar["marker"]["color"], strict=True):
            colours.setdefault(label.rpartition(" ")[0], set()).add(colour)
    for figure in of_section(results, "Speed-up"):
        for bar in figure.data:
            colours.setdefault(bar["name"].removesuffix(" Runtime"), set()).add(bar["marker"]["color"])
    assert sorted(colours) == ["ONNX", "random", "untuned", "xgb"]
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == 4


def test_speed_ups_are_those_of_the_fastest_cell_of_each_tuner(results: Results) -> None:
    here = next(one for one in of_section(results, "Speed-up") if one.device == "local-2")
    bars = {bar["name"]: dict(zip(bar["y"], bar["x"], strict=True)) for bar in here.data}
    rows = [row for row in results.cells if (row["model"], row["device"]) == ("squeezenet", "local-2")]
    for tuner in ("random", "xgb"):
        best = min(
            (row for row in rows if row["tuner"] == tuner and row["status"] == "done"),
            key=lambda row: float(row["latency_ms_median"]),
        )
        assert bars[tuner]["squeezenet"] == best["speedup_vs_untuned"]
    untuned = next(row for row in rows if row["tuner"] == "none" and row["opt_level"] == 3)
    reference = next(row for row in rows if row["runtime"] == "onnxruntime")
    expected = untuned["latency_ms_median"] / reference["latency_ms_median"]
    assert bars["ONNX Runtime"]["squeezenet"] == pytest.approx(expected)


def test_speed_ups_stand_by_model_where_models_are_fewer_than_devices(tmp_path: Path) -> None:
    [only] = of_section(derive(sweep_outcome(tmp_path, models=("squeezenet",))), "Speed-up")
    assert (only.title, only.model, only.device) == ("squeezenet", "squeezenet", None)
    assert list(only.data[0]["y"]) == ["local-1", "local-2"]


def test_without_anything_tuned_there_is_no_speed_up(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False)
    cells = [cell for cell in outcome.cells if cell.cell.tuner in ("none", "-")]
    assert of_section(derive(replace(outcome, cells=cells)), "Speed-up") == []


@pytest.mark.parametrize(("low", "high"), [(6.5, 17.0), (1.0, 9.9), (0.02, 900.0), (95.0, 140.0)])
def test_a_logarithmic_axis_has_ticks_within_its_range(low: float, high: float) -> None:
    assert sum(low <= tick <= high for tick in ticks_between([low, high])) >= 3


def test_a_logarithmic_axis_over_one_value_has_ticks_too() -> None:
    assert ticks_between([3.0, 3.0]) == [3.0]


@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_bars_that_differ_by_more_than_ten_have_a_logarithmic_axis(tmp_path: Path, factor: float) -> None:
    outcome = sweep_outcome(tmp_path, devices=("local-1",), troubles=False)
    slow = [
        replace(cell, stages={**cell.stages, "measure": slowed(measured(cell), factor)})
        if cell.cell.tuner in ("none", "random")
        else cell
        for cell in outcome.cells
        if cell.cell.runtime == "tvm"
    ]
    found = [one for one in figures(derive(replace(outcome, cells=slow))) if one.section in ("Latency", "Speed-up")]
    assert {one.section for one in found} == {"Latency", "Speed-up"}
    for figure in found:
        axis = figure.layout["xaxis"]
        assert (axis.get("type") == "log") == (factor > 1)
        low, high = (10**end for end in axis["range"]) if factor > 1 else axis["range"]
        drawn = [value for trace in figure.data if trace["type"] == "bar" for value in trace["x"]]
        assert low < min(drawn) <= max(drawn) < high
        assert factor == 1 or figure.has_log_switch


def slowed(measurement: Measurement, factor: float) -> Measurement:
    return replace(measurement, run_secs=tuple(value * factor for value in measurement.run_secs))


@pytest.mark.parametrize(("seconds", "unit"), [(0.5, "seconds"), (600.0, "minutes"), (90_000.0, "hours")])
def test_times_stand_in_a_unit_that_fits(seconds: float, unit: str) -> None:
    per, name = in_unit(seconds)
    assert name == unit
    assert 0.5 <= seconds / per < 200


def test_a_disturbed_cell_is_hatched_and_shows_what_it_takes_at_most(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, devices=("local-1",), troubles=False)
    cells = [tainted(cell) if cell.cell.tuner == "xgb" else cell for cell in outcome.cells]
    found = list(figures(derive(replace(outcome, cells=cells))))
    bars = next(figure for figure in found if figure.section == "Latency")
    names = list(bars.data[0]["y"])
    shapes = dict(zip(names, bars.data[0]["marker"]["pattern"]["shape"], strict=True))
    assert (shapes["xgb O3"], shapes["random O3"]) == ("/", "")
    numbers = dict(zip(names, bars.data[-1]["text"], strict=True))
    assert numbers["xgb O3"].strip("\u00a0").startswith("≤1.0")
    assert not numbers["random O3"].strip("\u00a0").startswith("≤")
    assert "what is hatched was disturbed" in bars.about
    levels = next(figure for figure in found if figure.section == "Opt level x tuner")
    assert levels.layout["plot_bgcolor"] == NO_VALUE
    assert any(text.startswith("≤1.0") for line in levels.data[0]["text"] for text in line)
    speedups = next(figure for figure in found if figure.section == "Speed-up")
    texts = {bar["name"]: bar["text"][0] for bar in speedups.data}
    assert texts["xgb"].startswith("≥1")
    assert texts["random"] == "4.76x"


def test_trade_offs_draw_the_front_and_the_limit(tmp_path: Path) -> None:
    outcome = replace(
        sweep_outcome(tmp_path, models=("squeezenet",)), objective=Objective("latency", {"artifact_bytes": 2e6})
    )
    rows = derive(outcome)
    sizes = iter(range(1, 1000))
    cells = [{**row, "artifact_bytes": next(sizes) * 10**5} for row in rows.cells]
    drawn = of_section(replace(rows, cells=cells), "Trade-offs")
    assert {one.device for one in drawn} == {"local-1", "local-2"}
    for one in drawn:
        line = one.data[-1]
        assert line["name"] == "none is better in both"
        assert list(line["x"]) == sorted(line["x"])
        assert list(line["y"]) == sorted(line["y"], reverse=True)
        [limit] = one.layout["shapes"]
        assert limit["y0"] == limit["y1"] == 2.0


def test_what_a_planner_skipped_is_drawn_with_its_interval_beside_what_its_audit_took(results: Results) -> None:
    assert of_section(results, "Planner") == []
    rows = [dict(row) for row in results.cells]
    first = next(row for row in rows if row["status"] == "done")
    here = [row for row in rows if group_key(row) == group_key(first) and row["status"] == "done"]
    *_, skipped, audited = sorted(here, key=lambda row: row["latency_ms_median"])
    best = min(row["latency_ms_median"] for row in here)
    for row in (audited, skipped):
        row |= {"predicted_low_ms": 2 * best, "predicted_latency_ms": 3 * best, "predicted_high_ms": 4.5 * best}
    skipped |= {"status": "skipped", "latency_ms_median": None}
    [figure] = prediction_figures(rows)
    of_skipped, of_audited, measured_all_the_same = figure.data
    assert (of_skipped["x"], of_audited["x"]) == (pytest.approx([3.0]), pytest.approx([3.0]))
    assert of_skipped["error_x"]["array"] == pytest.approx([1.5])
    assert of_skipped["error_x"]["arrayminus"] == pytest.approx([1.0])
    assert measured_all_the_same["x"] == pytest.approx([audited["latency_ms_median"] / best])
    assert measured_all_the_same["y"] == of_audited["y"] != of_skipped["y"]


def test_a_cell_of_the_audit_that_was_disturbed_is_neither_drawn_nor_counted(results: Results) -> None:
    rows = [dict(row) for row in results.cells]
    first = next(row for row in rows if row["status"] == "done")
    best = min(
        row["latency_ms_median"] for row in rows if group_key(row) == group_key(first) and row["status"] == "done"
    )
    predicted = {"predicted_low_ms": 2 * best, "predicted_latency_ms": 3 * best, "predicted_high_ms": 4.5 * best}
    disturbed = {**first, **predicted, "status": "tainted"}
    assert not list(prediction_figures([*rows, disturbed]))
    spared = {**first, **predicted, "status": "skipped", "latency_ms_median": None}
    [figure] = prediction_figures([*rows, *[spared] * 50, disturbed])
    assert "40 of 50" in figure.about
    assert sum(len(trace["y"]) for trace in figure.data) == 40


def test_what_is_predicted_of_one_choice_on_two_devices_has_a_line_each(results: Results) -> None:
    rows = [dict(row) for row in results.cells]
    for device in {row["device"] for row in rows}:
        row = next(one for one in rows if (one["device"], one["tuner"], one["status"]) == (device, "none", "done"))
        best = row["latency_ms_median"]
        predicted = {"predicted_low_ms": 2 * best, "predicted_latency_ms": 3 * best, "predicted_high_ms": 4.5 * best}
        rows.append({**row, **predicted, "status": "skipped", "latency_ms_median": None})
    [figure] = prediction_figures(rows)
    [trace] = figure.data
    assert len({*trace["y"]}) == len(trace["y"]) == len({row["device"] for row in rows}) > 1
