"""The space that a sweep has measured whole comes back as it was, and tuners are compared on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.tuning import equal_trials
from sweep.search.space import Point
from sweep.search.strategy import Observation
from sweep.search.testing import decided_space, small_space


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    tuner = equal_trials.Recording({"folder": str(tmp_path)}, 0)
    tuner.search("tiny", decided_space())
    search = tuner.search("small", small_space())
    told: dict[Point, float | None] = {}
    while points := search.propose(5):
        new = {point: None if point[-1] == 0 else 1e-3 * sum(point) for point in points}
        search.observe([Observation(point, seconds) for point, seconds in new.items()])
        told |= new
    assert len(told) == small_space().size
    space, seconds = equal_trials.load_landscape(tmp_path)
    assert (space, seconds) == (small_space(), told)


def test_after_all_points_every_tuner_has_found_the_fastest() -> None:
    space = small_space()
    seconds = {space.point_at(index): 1.0 + index for index in range(space.size)}
    for name in ("random", "gridsearch", "ga", "droplet", "xgb"):
        found = equal_trials._found(name, {}, 0, space, seconds.get)
        assert found[-1] == 1.0
        assert np.all(np.diff(found) <= 0)
