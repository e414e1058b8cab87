"""Layers under a roof: what bounds them by hand, words whose numbers are the rows', and what never may happen."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.rooflines.placed_layers import placed, roofline_row, roofline_words
from sweep.analysis.rooflines.roof import Roof, roof_of
from sweep.planning.results.roofline_results import COMPUTE, STREAM, DeviceRoof, LayerTimes, RoofKernel, TimedLayer
from sweep.report.figures.rooflines import rooflines
from sweep.report.roofline_table import roofline_lines

KERNELS = (
    RoofKernel("slow sums", COMPUTE, 1e9, 1 << 12, (0.2, 0.2, 0.2)),
    RoofKernel("sums", COMPUTE, 1e9, 1 << 12, (0.011, 0.01, 0.0099)),  # 100 GFLOP/s by the median
    RoofKernel("triad beyond", STREAM, 1e8, 10**8, (0.01, 0.01, 0.02)),  # 10 GB/s
    RoofKernel("triad within", STREAM, 1e5, 10**5, (1e-6, 1e-6, 1e-6)),  # 100 GB/s
)
CELL = {"cell_id": "c", "cell_name": "net native O3 here", "model": "net", "latency_ms_median": 4.2}


def roof() -> Roof:
    found = roof_of(DeviceRoof(device="here", kernels=KERNELS))
    assert found is not None
    return found


def layer(name: str = "conv", **given: Any) -> TimedLayer:
    whole = {
        "operations": 10**8,
        "input_bytes": 10**6,
        "weight_bytes": 10**6,
        "output_bytes": 10**6,
        "run_secs": (2e-3,),
    }
    return TimedLayer(name, **{**whole, **given})


def test_the_roof_is_of_the_fastest_sums_and_of_each_stream_with_its_spread() -> None:
    found = roof()
    assert (found.operations.kernel, found.operations.value) == ("sums", pytest.approx(1e11))
    assert (found.operations.low, found.operations.high) == (pytest.approx(1e9 / 0.011), pytest.approx(1e9 / 0.0099))
    assert [rate.kernel for rate in found.streams] == ["triad within", "triad beyond"]
    assert (found.memory.value, found.memory.low) == (pytest.approx(1e10), pytest.approx(5e9))
    assert found.bandwidth_for(10**5) == pytest.approx(1e11), "what lies in a cache has the cache's"
    assert found.bandwidth_for(10**6) == pytest.approx(1e10)
    assert roof_of(DeviceRoof(kernels=KERNELS[:2])) is None


def test_what_bounds_a_layer_by_hand() -> None:
    row = placed(layer(), roof())  # 1 ms of arithmetic, 0.3 ms of traffic
    assert (row["bound_by"], row["least_ms"], row["share_of_roof"]) == ("compute", pytest.approx(1), pytest.approx(0.5))
    assert (row["intensity"], row["gflops"]) == (pytest.approx(100 / 3), pytest.approx(50))
    heavy = placed(layer(weight_bytes=10**8), roof())  # 10.2 ms of traffic, most of it weights
    assert (heavy["bound_by"], heavy["least_ms"]) == ("weight traffic", pytest.approx(10.2))
    assert placed(layer(input_bytes=10**8), roof())["bound_by"] == "input traffic"
    assert placed(layer(output_bytes=10**8), roof())["bound_by"] == "output traffic"
    small = {"operations": 10, "input_bytes": 10**4, "weight_bytes": 0, "output_bytes": 10**4, "run_secs": (1e-6,)}
    assert placed(layer(**small), roof())["least_ms"] == pytest.approx(2e-4), "at the rate of the cache"


def test_what_has_no_time_or_no_count_is_told_and_part_of_no_sum() -> None:
    layers = (layer(), layer("odd", operations=None), layer("broken", run_secs=(), error="no such function"))
    row = roofline_row(CELL, LayerTimes(device="here", cell="c", layers=layers), roof())
    assert row["layers_without_time"] == 2
    assert row["layers_ms"] == pytest.approx(2.0)
    assert "2 layers could not be placed" in roofline_words(row)
    assert any("no such function" in line for line in roofline_lines(row, 5))
    nothing = roofline_row(CELL, LayerTimes(layers=layers[1:]), roof())
    assert roofline_words(nothing) == "net on here: no layer could be timed."
    json.dumps(nothing, allow_nan=False)


LAYERS = st.lists(
    st.builds(
        TimedLayer,
        name=st.text("abc", min_size=1, max_size=5),
        count=st.integers(1, 9),
        operations=st.integers(0, 10**9),
        input_bytes=st.integers(1, 10**7),
        weight_bytes=st.integers(0, 10**8),
        output_bytes=st.integers(1, 10**7),
        run_secs=st.lists(st.floats(1e-6, 1e-1), min_size=1, max_size=5).map(tuple),
    ),
    min_size=1,
    max_size=12,
)


@given(LAYERS)
def test_the_words_say_what_the_rows_say(layers: list[TimedLayer]) -> None:
    row = roofline_row(CELL, LayerTimes(device="here", cell="c", layers=tuple(layers)), roof())
    rows = row["layers"]
    time_ms = sum(one["count"] * one["time_ms"] for one in rows)
    least_ms = sum(one["count"] * one["least_ms"] for one in rows)
    assert sum(one["time_share"] for one in rows) == pytest.approx(1)
    assert [one["time_share"] for one in rows] == sorted((one["time_share"] for one in rows), reverse=True)
    assert sum(bound["layers"] for bound in row["bounds"]) == len(rows)
    said = re.search(
        r"^net on here reaches (\S+) % of the roof; (\S+) % of its time is in (\d+) layers? that (?:is|are) bound by "
        r"(compute|input traffic|weight traffic|output traffic)\. Its layers take",
        roofline_words(row),
    )
    assert said is not None, roofline_words(row)
    share, most, count, bound = said.groups()
    assert float(share.replace(",", "")) == pytest.approx(100 * least_ms / time_ms, rel=0.06, abs=0.6)
    bound_rows = [one for one in rows if one["bound_by"] == bound]
    assert len(bound_rows) == int(count)
    assert float(most) == pytest.approx(100 * sum(one["time_share"] for one in bound_rows), rel=0.06, abs=0.6)
    for one in rows:
        traffic = one["input_bytes"] + one["weight_bytes"] + one["output_bytes"]
        attainable = min(1e11, one["intensity"] * roof().bandwidth_for(traffic))
        assert one["gflops"] * 1e9 == pytest.approx(one["share_of_roof"] * attainable)


@given(LAYERS)
def test_a_picture_has_every_layer_that_computes(layers: list[TimedLayer]) -> None:
    row = roofline_row(CELL, LayerTimes(device="here", cell="c", layers=tuple(layers)), roof())
    drawn = [
        one for figure in rooflines([row]) for trace in figure.data if trace["mode"] == "markers" for one in trace["x"]
    ]
    assert len(drawn) == sum(one.operations > 0 for one in layers if one.operations is not None)
    json.dumps([figure.data for figure in rooflines([row])], allow_nan=False)


def test_twice_the_time_is_half_the_share() -> None:
    once, twice = (placed(replace(layer(), run_secs=(seconds,)), roof()) for seconds in (2e-3, 4e-3))
    assert twice["share_of_roof"] == pytest.approx(once["share_of_roof"] / 2)
