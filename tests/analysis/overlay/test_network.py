from __future__ import annotations

import csv
import io

import pytest

from sweep.analysis.overlay.network import COLUMNS, NetworkOnDevice, NetworkTimes, write_networks


def blocks(*medians: float) -> list[list[float]]:
    return [[median * 0.999, median, median * 1.001] for median in medians]


STEADY = NetworkOnDevice(
    device="a",
    merged=NetworkTimes(blocks(11e-3, 11.01e-3, 10.99e-3, 11e-3, 11e-3), 0, 1e-6),
    own=NetworkTimes(blocks(10e-3, 10.01e-3, 9.99e-3, 10e-3, 10e-3), 0, 2e-6, disturbed=["a neighbour"]),
    merged_estimate_s=10.5e-3,
    own_estimate_s=9.5e-3,
)
FAILED = NetworkOnDevice("b", NetworkTimes(failure="BuildFailed: no"), NetworkTimes(blocks(2e-3), 1), 1e-3, 1e-3)


def test_the_regret_is_said_by_pairs_of_blocks() -> None:
    row = STEADY.as_row()
    assert row["regret"] == pytest.approx(0.1, rel=1e-3)
    assert row["regret_ci_low"] < 0.1 < row["regret_ci_high"]
    assert (row["verdict"], row["disturbed"], row["reason"]) == ("SLOWER", "own: a neighbour", None)
    assert "a: 11.0 ms" in STEADY.as_text()
    assert "10 % more" in STEADY.as_text()


def test_drift_that_hits_both_builds_is_not_in_the_regret() -> None:
    drift = [1.0, 1.3, 1.6, 1.9, 2.2]
    drifting = NetworkOnDevice(
        "a", NetworkTimes(blocks(*(11e-3 * d for d in drift))), NetworkTimes(blocks(*(10e-3 * d for d in drift))), 1, 1
    )
    assert drifting.regret == pytest.approx(0.1, rel=1e-6)
    assert drifting.as_row()["verdict"] == "SLOWER"


def test_few_rounds_give_a_ratio_without_a_verdict() -> None:
    one = NetworkOnDevice("a", NetworkTimes(blocks(11e-3)), NetworkTimes(blocks(10e-3)), 1, 1)
    assert one.regret == pytest.approx(0.1)
    assert one.as_row()["verdict"] is None


def test_a_failure_is_told() -> None:
    assert FAILED.regret is None
    assert FAILED.as_text() == "b: not measured: merged: BuildFailed: no"
    stream = io.StringIO()
    write_networks([STEADY, FAILED], stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert tuple(rows[0]) == COLUMNS
    assert [row["device"] for row in rows] == ["a", "b"]
    assert (rows[1]["merged_ms"], rows[1]["own_ms"], rows[1]["reason"]) == ("", "2.0", "merged: BuildFailed: no")
    assert (rows[1]["own_untuned_tasks"], rows[0]["merged_estimate_ms"]) == ("1", "10.5")
