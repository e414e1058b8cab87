"""Made-up costs of points: the prior cost of a nest, distorted by a random factor for each choice of each knob."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sweep.search.catalogue import make_tuner
from sweep.search.learning.features import FeatureTable
from sweep.search.learning.prior import prior_cycles
from sweep.search.space import Point, Space
from sweep.search.strategy import Observation

Cost = Callable[[Point], float]


def distorted(space: Space, seed: int) -> Cost:
    """Seconds of a point: what the prior says, wrong by e^0.35 for each knob."""
    table, rng = FeatureTable(space), np.random.default_rng(seed)
    errors = [[rng.normal(0.0, 0.35, len(knob.choices)) for knob in design.knobs] for design in space.designs]

    def cost(point: Point) -> float:
        cycles = prior_cycles(space, table, point[0], np.asarray([point[1:]], np.int32))
        assert cycles is not None
        wrong = sum(error[choice] for error, choice in zip(errors[point[0]], point[1:], strict=True))
        return float(1e-9 * cycles[0] * np.exp(wrong))

    return cost


def tuned(
    name: str, space: Space, cost: Cost, *, seed: int = 0, trials: int = 64, options: Mapping[str, Any] | None = None
) -> list[tuple[Point, float]]:
    """The trials of a tuner in rounds of 16, in order."""
    search = make_tuner(name, options or {}, seed).search("workload", space)
    tried: list[tuple[Point, float]] = []
    while len(tried) < trials:
        points = search.propose(min(16, trials - len(tried)))
        if not points:
            break
        tried += [(point, cost(point)) for point in points]
        search.observe([Observation(point, seconds) for point, seconds in tried[-len(points) :]])
    return tried
