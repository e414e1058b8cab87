from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import judge
from tests.analysis.overlay.layers import NO, layer, layers, why_out


@pytest.mark.parametrize(
    ("seconds", "changes"),
    [
        ([[1.0, 0.0]], {}),
        ([[1.0, -1.0]], {}),
        ([[1.0, math.inf]], {}),
        ([[1.0, 2.0]], {"failures": {(0, 1): "BuildFailed"}}),
        ([[1.0, 2.0]], {"devices": ["a", "a"]}),
        ([[1.0], [2.0]], {"configurations": ["c0", "c0"]}),
        ([[1.0, 2.0]], {"devices": ["a"]}),
        ([[1.0, 2.0]], {"found": np.ones((2, 1), dtype=np.bool_)}),
        ([[]], {"devices": []}),
    ],
)
def test_what_contradicts_itself_is_refused(seconds: list[list[float]], changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="conv"):
        layer(seconds, **changes)


def test_each_missing_time_has_its_reason() -> None:
    times = layer([[1.0, NO], [NO, NO]], failures={(1, 0): "BuildFailed: too large"})
    assert times.reason(0, 0) is None
    assert why_out(times, 0) == ["not measured on b"]
    assert why_out(times, 1) == ["failed on a: BuildFailed: too large", "not measured on b"]
    assert times.reasons() == {"not measured on b": 2, "failed on a: BuildFailed: too large": 1}


@given(layers())
def test_reasons_are_as_many_as_missing_times(times: LayerTimes) -> None:
    missing = np.argwhere(np.isnan(times.seconds)).tolist()
    told = [times.reason(row, column) for row, column in missing]
    assert all(told)
    assert times.reasons().total() == len(missing)
    assert sorted(times.reasons().elements()) == sorted(map(str, told))


@given(layers(), st.data())
def test_a_part_says_of_itself_what_the_whole_does(times: LayerTimes, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(range(len(times.configurations))))[: data.draw(st.integers(0, 3))]
    columns = data.draw(st.permutations(range(len(times.devices))))[: data.draw(st.integers(1, 3))]
    part = times.rows(np.array(rows, dtype=np.intp)).on([times.devices[column] for column in columns])
    for at, row in enumerate(rows):
        assert part.configurations[at] == times.configurations[row]
        for under, column in enumerate(columns):
            assert part.reason(at, under) == times.reason(row, column)
            assert part.seconds[at, under] == pytest.approx(times.seconds[row, column], nan_ok=True, rel=0)


def test_the_best_of_each_device_are_its_own_finds() -> None:
    seconds = [[1.0, 9.0], [2.0, 8.0], [3.0, 1.0], [2.0, 2.0]]
    times = layer(seconds)
    assert times.best_of_each(1).configurations == ["c0", "c2"]
    assert times.best_of_each(2).configurations == ["c0", "c1", "c2", "c3"]
    # c0 and c1 were brought to b, c2 and c3 to a: only what a device found itself is among its best.
    found = np.array([[True, False], [True, False], [False, True], [False, True]])
    assert layer(seconds, found=found).best_of_each(1).configurations == ["c0", "c2"]
    assert layer(seconds, found=~found).best_of_each(1).configurations == ["c1", "c3"]


def test_of_equal_times_the_lesser_id_is_kept() -> None:
    times = layer([[1.0], [1.0], [1.0]], configurations=["c", "a", "b"])
    assert times.best_of_each(2).configurations == ["a", "b"]
    with pytest.raises(ValueError, match="at least one"):
        times.best_of_each(0)


@given(layers(rows=12), st.integers(1, 4))
def test_the_best_of_each_keeps_theta(times: LayerTimes, count: int) -> None:
    kept = times.best_of_each(count)
    assert len(kept.configurations) <= count * len(times.devices)
    np.testing.assert_array_equal(judge(kept).best_s, judge(times).best_s)
    for column in range(len(times.devices)):
        own = np.sort(times.seconds[~np.isnan(times.seconds[:, column]), column])[:count]
        np.testing.assert_array_equal(np.sort(kept.seconds[:, column])[: len(own)], own)
