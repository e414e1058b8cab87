"""What a tuner keeps of a trial: a kilobyte or two, so that 10,000 of them fit into some twenty megabytes."""

from __future__ import annotations

import gc
import random
import tracemalloc

import numpy as np

from sweep.search.model_guided import XgbStrategy
from sweep.search.strategy import Observation
from sweep.search.testing import conv_space
from sweep.toolchain.tuning.records.record_store import WorkloadHistory
from sweep.toolchain.tuning.records.trial_logs import Trial

_MOST_BYTES = 3_000


def test_a_trial_costs_its_history_and_its_search_some_kilobytes() -> None:
    """With made-up times; `test_native_lines` has that nothing of TVM is kept beside."""
    space, draw, rng = conv_space(), random.Random(0), np.random.default_rng(0)
    search = XgbStrategy({"population": 64, "generations": 1, "round": 16}, 0).search("w", space)
    points = [(design, *map(int, row)) for design, rows in space.sample(300, rng) for row in rows]

    history = WorkloadHistory()

    def take(chosen: list[tuple[int, ...]]) -> None:
        for point in chosen:
            median_s, trace = 1e-3 * draw.random(), f"{draw.getrandbits(64):016x}"
            knobs = space.designs[point[0]].knobs
            decisions = [list(knob.choices[choice]) for knob, choice in zip(knobs, point[1:], strict=True)]
            history.add(
                Trial(
                    workload="w",
                    task="conv",
                    trial=history.trials + 1,
                    tuner="xgb",
                    device="here",
                    target="{}",
                    t=1.7e9 + draw.random(),
                    run_secs=[median_s, 1.01 * median_s, 0.99 * median_s],
                    error_class=None,
                    error=None,
                    build_s=draw.random(),
                    measure_s=draw.random(),
                    trace_hash=trace,
                    design=point[0],
                    decisions=decisions,
                    record=history.trials,
                )
            )
            search.observe([Observation(point, median_s)])

    take(points[:50])
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        take(points[50:250])
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown / 200 < _MOST_BYTES
