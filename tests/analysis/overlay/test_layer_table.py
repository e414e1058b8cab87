from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.overlay.layer_table import layers_of
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import judge
from sweep.errors import RecordError
from sweep.record.schemas import TUNING_RECORDS, TUNING_TASKS
from tests.analysis.overlay.layers import NO, why_out

WHY = {"error_class": "BuildFailed", "error": "too large", "run_secs": None}


def row(config: str | None, device: str, *run_secs: float, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "workload": "ff00",
        "task": "conv",
        "device": device,
        "target": '{"kind": "llvm"}',
        "t": 1.0,
    }
    return given | {"trace_hash": config, "run_secs": list(run_secs), "origin": "search"} | changes


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TUNING_RECORDS)


def read(*rows: dict[str, Any], **options: Any) -> LayerTimes:
    [times] = layers_of(table(rows), **options)
    return times


def tasks(*rows: tuple[str, str, int]) -> pa.Table:
    found = [{"workload": workload, "task": task, "weight": weight} for workload, task, weight in rows]
    return pa.Table.from_pylist(found, schema=TUNING_TASKS)


def test_a_layer_is_a_matrix_of_medians_with_reasons() -> None:
    times = read(row("y", "b", 3.0, 1.0, 2.5), row("x", "a", 4.0), row("y", "a", **WHY), row("x", "b", 5.0, 6.0))
    assert (times.layer, times.workload, times.weight) == ("conv", "ff00", 1)
    assert (times.configurations, times.devices) == (["x", "y"], ["a", "b"])
    np.testing.assert_array_equal(times.seconds, [[4.0, 5.5], [NO, 2.5]])
    assert why_out(times, 1) == ["failed on a: BuildFailed: too large"]
    assert judge(times).config == "x"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("x", "a", 1.0, t=1.0), row("x", "a", 2.0, t=2.0)], 2.0),  # the latest
        ([row("x", "a", 2.0, t=2.0), row("x", "a", 1.0, t=1.0)], 2.0),
        ([row("x", "a", 1.0, t=1.0), row("x", "a", t=2.0, **WHY)], 1.0),  # the latest valid one
        ([row("x", "a", 1.0, t=1.0, validated_s=1.5), row("x", "a", 2.0, t=2.0)], 1.5),  # measured again
        ([row("x", "a", 1.0, validated_s=1.5, t=1.0), row("x", "a", 2.0, validated_s=2.5, t=2.0)], 2.5),
        ([row("x", "a", 1.0, validated_s=math.nan)], 1.0),
        ([row("x", "a", 1.0, t=None), row("x", "a", 2.0, t=0.0)], 2.0),
        ([row("x", "a", 3.0), row("x", "a", 2.0)], 3.0),  # of one moment: the slowest
    ],
)
def test_which_measurement_counts(rows: list[dict[str, Any]], expected: float) -> None:
    assert read(*rows).seconds.tolist() == [[expected]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"run_secs": None}, "neither a time nor an error was recorded"),
        ({"run_secs": []}, "neither a time nor an error was recorded"),
        ({"run_secs": [1e10]}, "neither a time nor an error was recorded"),  # MetaSchedule's sentinel
        ({"run_secs": [1.0, math.inf]}, "neither a time nor an error was recorded"),
        ({"run_secs": [1.0, math.nan]}, "neither a time nor an error was recorded"),
        ({"run_secs": [1.0, None]}, "neither a time nor an error was recorded"),
        ({"run_secs": [1.0, 0.0]}, "neither a time nor an error was recorded"),
        ({"run_secs": [1.0], "error_class": "MeasureTimeout"}, "MeasureTimeout"),
        (
            {"run_secs": [1.0], "error_class": "MeasureFailed", "error": "lost", "validated_s": 1.0},
            "MeasureFailed: lost",
        ),
    ],
)
def test_what_is_no_time_is_a_failure(changes: dict[str, Any], reason: str) -> None:
    times = read(row("x", "a", **changes), row("x", "b", 1.0))
    assert why_out(times, 0) == [f"failed on a: {reason}"]
    assert judge(times).chosen is None


def test_what_was_lost_with_its_board_was_not_measured() -> None:
    lost = {"error_class": "DeviceLost", "error": "the connection broke", "run_secs": None}
    times = read(row("x", "a", **lost), row("x", "b", 1.0), row("y", "a", 2.0), row("y", "b", 2.0))
    assert why_out(times, 0) == ["not measured on a"]
    assert read(row("x", "a", **lost)).configurations == []


def test_the_latest_failure_is_told() -> None:
    times = read(row("x", "a", **WHY, t=1.0), row("x", "a", **WHY | {"error": "later"}, t=2.0))
    assert why_out(times, 0) == ["failed on a: BuildFailed: later"]


def test_keys_choose_devices_and_their_order_and_with_them_the_candidates() -> None:
    rows = [row("x", "a", 1.0), row("y", "b", 2.0), row("x", "c", 3.0)]
    times = read(*rows, keys=["c", "a"])
    assert (times.devices, times.configurations) == (["c", "a"], ["x"])
    assert times.seconds.tolist() == [[3.0, 1.0]]
    unknown = read(*rows, keys=["a", "elsewhere"])
    assert why_out(unknown, 0) == ["not measured on elsewhere"]


def test_records_of_another_target_of_a_device_are_not_mixed_in() -> None:
    rows = [row("x", "a", 1.0, target="one"), row("x", "a", 2.0, target="two", t=9.0), row("x", "b", 3.0, target="b's")]
    with pytest.raises(RecordError, match="a has records of workload ff00 for 2 targets"):
        read(*rows)
    assert read(*rows, targets={"a": "one"}).seconds.tolist() == [[1.0, 3.0]]
    assert read(*rows, keys=["b"]).seconds.tolist() == [[3.0]]


def test_what_another_device_found_is_known_by_its_origin() -> None:
    times = read(row("x", "a", 1.0), row("x", "b", 2.0, origin="overlay"), row("y", "b", 2.0, origin=None))
    assert times.found is not None
    assert times.found.tolist() == [[True, False], [False, True]]
    assert read(row("x", "a", 1.0, origin="overlay"), row("x", "a", 1.0)).best_of_each(1).configurations == ["x"]


def test_measuring_candidates_makes_no_others_of_them() -> None:
    own = [row("x", "a", 1.0), row("y", "a", 2.0), row("z", "b", 1.0, origin="relative"), row("y", "b", 3.0)]
    elsewhere = [
        row("x", "a", 5.0, origin="overlay", t=9.0, validated_s=5.0),  # it was lucky
        row("x", "b", 0.5, origin="overlay", t=9.0),
        row("z", "a", 0.5, origin="overlay", t=9.0),
    ]
    for rows in (own, [*own, *elsewhere]):
        assert sorted(read(*rows).best_of_each(1).configurations) == ["x", "z"]
    assert read(*own, *elsewhere).best_of_each(1).seconds.tolist() == [[5.0, 0.5], [0.5, 1.0]]


def test_a_model_has_its_tasks_in_order_with_weights_also_those_without_a_record() -> None:
    found = layers_of(
        table([row("x", "a", 1.0), row("x", "a", 1.0, workload="ee", task="other")]),
        tasks=tasks(("aa", "pool", 1), ("ff00", "conv2d", 3), ("ff00", "conv2d", 3)),
    )
    assert [(times.layer, times.weight, len(times.configurations)) for times in found] == [
        ("pool", 1, 0),
        ("conv2d", 3, 1),
    ]
    assert judge(found[0]).chosen is None
    with pytest.raises(RecordError, match="ff00 has several weights"):
        layers_of(table([]), tasks=tasks(("ff00", "conv2d", 3), ("ff00", "conv2d", 2)))


def test_layers_of_one_name_are_told_apart() -> None:
    rows = [row("x", "a", 1.0, workload="0123456789"), row("x", "a", 1.0, workload="aabbccddee"), row("x", "a", 1.0)]
    rows[2]["task"] = None
    assert [times.layer for times in layers_of(table(rows))] == ["conv [01234567]", "conv [aabbccdd]", "ff00"]


def test_an_empty_table_and_rows_without_a_configuration() -> None:
    assert layers_of(table([])) == []
    assert layers_of(table([row(None, "a", 1.0)])) == []
    [times] = layers_of(table([]), keys=["a"], tasks=tasks(("ff00", "conv", 2)))
    assert (times.devices, len(times.configurations)) == (["a"], 0)


records = st.lists(
    st.builds(
        row,
        st.sampled_from("xyz"),
        st.sampled_from("ab"),
        st.floats(1e-6, 1e3),
        st.floats(1e-6, 1e3),
        t=st.none() | st.integers(0, 2).map(float),
        workload=st.sampled_from(["one", "two"]),
        validated_s=st.none() | st.floats(1e-6, 1e3),
        error_class=st.sampled_from([None, None, "BuildFailed"]),
        error=st.sampled_from([None, "no", "other"]),
        origin=st.sampled_from(["search", "overlay", None]),
    ),
    max_size=25,
)


@given(records, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    for one, other in zip(layers_of(table(rows)), layers_of(table(shuffled)), strict=True):
        assert (one.layer, one.configurations, one.devices) == (other.layer, other.configurations, other.devices)
        np.testing.assert_array_equal(one.seconds, other.seconds)
        np.testing.assert_array_equal(one.found, other.found)
        assert one.failures == other.failures


@given(records)
@settings(deadline=None, max_examples=40)
def test_it_agrees_with_reading_row_by_row(rows: list[dict[str, Any]]) -> None:
    for times in layers_of(table(rows)):
        for at, config in enumerate(times.configurations):
            for under, key in enumerate(times.devices):
                place = (times.workload, config, key)
                there = [one for one in rows if (one["workload"], one["trace_hash"], one["device"]) == place]
                valid = [one for one in there if one["error_class"] is None]
                assert (times.reason(at, under) is None) == bool(valid)
                if not there:
                    assert times.reason(at, under) == f"not measured on {key}"
                if valid:
                    assert times.seconds[at, under] == pytest.approx(time_of(max(valid, key=rank)))


def time_of(one: dict[str, Any]) -> float:
    return float(one["validated_s"] or statistics.median(one["run_secs"]))


def rank(one: dict[str, Any]) -> tuple[bool, float, float]:
    return one["validated_s"] is not None, -math.inf if one["t"] is None else one["t"], time_of(one)
