from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given

from sweep.analysis.overlay.csv_tables import DETAILS, detail_rows, reasons_in_words, write_details, write_overlay
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import judge
from sweep.errors import RecordError
from tests.analysis.overlay.layers import NO, layer, models

UNDECIDED = layer([[0.5, NO], [NO, NO]], layer="pool", failures={(1, 0): "BuildFailed: too\nlarge"})
KEYS = ["jetson.nano_2", "rpi-4"]


def overlay(*layers: LayerTimes) -> list[list[str]]:
    stream = io.StringIO()
    write_overlay([judge(times) for times in layers], stream)
    return list(csv.reader(io.StringIO(stream.getvalue())))


def test_the_columns_are_these_and_an_undecided_layer_keeps_its_row() -> None:
    conv = layer([[1.0, 4.0], [0.5, 2.0]], layer="conv, 3x3", devices=KEYS)
    assert overlay(conv, layer([[0.25, NO]], layer="pool", devices=KEYS)) == [
        ["layer", "best_jetson.nano_2", "best_rpi-4", "jetson.nano_2", "rpi-4", "metric", "config"],
        ["conv, 3x3", "500.0", "2000.0", "500.0", "2000.0", "0.0", "c1"],
        ["pool", "250.0", "", "", "", "", ""],
    ]


@given(models())
def test_what_is_written_gives_the_metric_again(layers: list[LayerTimes]) -> None:
    header, *rows = overlay(*layers)
    keys = layers[0].devices
    assert header == ["layer", *(f"best_{key}" for key in keys), *keys, "metric", "config"]
    assert len(rows) == len(layers)
    for row, times in zip((dict(zip(header, row, strict=True)) for row in rows), layers, strict=True):
        assert row["config"] == (judge(times).config or "")
        assert (row["metric"] == "") == (row["config"] == "")
        if row["metric"]:
            pairs = [(float(row[key]), float(row[f"best_{key}"])) for key in keys]
            assert float(row["metric"]) == pytest.approx(
                sum((t - best) / best for t, best in pairs), rel=1e-9, abs=1e-9
            )


@pytest.mark.parametrize("keys", [["a", "best_a"], ["layer", "b"], ["a", "config"]])
def test_keys_that_would_give_two_columns_one_name_are_refused(keys: list[str]) -> None:
    with pytest.raises(RecordError, match="more than one column"):
        overlay(layer([[1.0, 2.0]], devices=keys))


def test_the_longer_table_has_a_row_for_each_layer_and_device() -> None:
    conv = layer([[1.0, 4.0], [2.0, 2.0], [3.0, NO]], layer="conv", weight=3)
    stream = io.StringIO()
    write_details([judge(conv), judge(UNDECIDED)], stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [(row["layer"], row["device"]) for row in rows] == [
        ("conv", "a"),
        ("conv", "b"),
        ("pool", "a"),
        ("pool", "b"),
    ]
    assert tuple(rows[0]) == DETAILS
    chosen = list(detail_rows(judge(conv)))
    assert [(row["regret"], row["score"], row["slowest_ms"]) for row in chosen] == [
        (0.0, 1.0, 3000.0),
        (1.0, 0.0, 4000.0),
    ]
    assert {(row["config"], row["metric"], row["metric_per_device"], row["candidates"]) for row in chosen} == {
        ("c0", 1.0, 0.5, 2)
    }
    undecided = next(detail_rows(judge(UNDECIDED)))
    assert [undecided[name] for name in ("config", "metric", "time_ms", "regret", "score")] == [None] * 5
    assert (undecided["best_ms"], undecided["candidates"], undecided["configurations"]) == (500.0, 0, 2)
    assert undecided["reason"] == "2 not measured on b; 1 failed on a: BuildFailed: too large"


def test_many_reasons_are_cut_and_none_is_said() -> None:
    failures = {(row, 0): f"BuildFailed: {row}" for row in range(9)}
    assert reasons_in_words(judge(layer([[NO]] * 9, failures=failures))).endswith(
        "1 failed on a: BuildFailed: 4; and 4 other reasons"
    )
    nothing = layer([[1.0]]).rows(np.array([], dtype=np.intp))
    assert reasons_in_words(judge(nothing)) == "no configuration was measured"
