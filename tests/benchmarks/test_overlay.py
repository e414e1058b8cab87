from __future__ import annotations

import pytest

from benchmarks.overlay import time_overlay


def test_loop_and_metric_agree_and_the_loop_is_scaled_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.overlay.SAMPLE", 500)
    timing = time_overlay(2_000, 5, repeats=2)
    assert timing.largest_difference < 1e-12
    assert timing.loop_s == pytest.approx(4 * min(timing.loop_sample_s))
    assert timing.ratio == pytest.approx(timing.loop_s / min(timing.vectorised_s))
    assert (len(timing.vectorised_s), timing.times_bytes) == (2, 80_000)
