"""Layers for tests: made by hand, or drawn by hypothesis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sweep.analysis.overlay.layer_times import LayerTimes

NO = math.nan


def layer(seconds: Sequence[Sequence[float]], **changes: Any) -> LayerTimes:
    """Configurations c0, c1, ... on devices a, b, ..."""
    matrix = np.array(seconds, dtype=np.float64).reshape(len(seconds), -1)
    given: dict[str, Any] = {
        "layer": "conv",
        "workload": "ff00",
        "weight": 1,
        "configurations": [f"c{row}" for row in range(matrix.shape[0])],
        "devices": [chr(ord("a") + column) for column in range(matrix.shape[1])],
        "seconds": matrix,
    }
    return LayerTimes(**given | changes)


def why_out(times: LayerTimes, row: int) -> list[str]:
    """Why a configuration is no candidate for all devices at once, device by device; empty where it is one."""
    reasons = (times.reason(row, column) for column in range(len(times.devices)))
    return [reason for reason in reasons if reason is not None]


# A few values give ties, which a choice must settle; any values give rounding.
FEW = st.sampled_from([1.0, 1.25, 1.5, 2.0, 3.0])
ANY = st.floats(1e-7, 1e3)


@st.composite
def layers(
    draw: st.DrawFn,
    *,
    rows: int = 6,
    devices: int = 4,
    missing: bool = True,
    least_rows: int = 1,
    least_devices: int = 1,
) -> LayerTimes:
    """Times of some configurations on some devices; where `missing`, some fail and some were not measured."""
    shape = (draw(st.integers(least_rows, rows)), draw(st.integers(least_devices, devices)))
    value = draw(st.sampled_from([FEW, ANY]))
    if missing:
        value = st.one_of(value, value, value, st.just(NO))
    seconds = np.array(draw(st.lists(value, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))).reshape(shape)
    places = [(int(row), int(column)) for row, column in np.argwhere(np.isnan(seconds))]
    failed = [place for place in places if draw(st.booleans())]
    return layer(seconds, failures=dict.fromkeys(failed, "BuildFailed: no"), weight=draw(st.integers(1, 5)))


def models(
    *, count: int = 3, rows: int = 5, devices: int = 4, missing: bool = True
) -> st.SearchStrategy[list[LayerTimes]]:
    """Layers that have their devices in common."""

    def same(number: int) -> st.SearchStrategy[list[LayerTimes]]:
        one = layers(rows=rows, devices=number, least_devices=number, missing=missing)
        return st.lists(one, min_size=1, max_size=count)

    return st.integers(1, devices).flatmap(same)


def reordered(times: LayerTimes, rows: Sequence[int], columns: Sequence[int]) -> LayerTimes:
    """The same layer with its configurations and devices in another order."""
    return times.rows(np.array(rows, dtype=np.intp)).on([times.devices[column] for column in columns])
