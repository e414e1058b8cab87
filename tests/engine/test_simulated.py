"""The simulated engine: failures at the rate that is asked for, times without waiting, the same again for the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sweep.engine.simulated import SimulatedEngine
from sweep.planning.results.measurement import Measurement
from sweep.running.contract import Done, Failed
from sweep.study.cluster.cluster import Cluster
from tests.engine.shop import Shop, ends


@pytest.fixture
def engine_of(cluster_of: Callable[[str], Cluster]) -> Callable[..., SimulatedEngine]:
    def make(**simulate: object) -> SimulatedEngine:
        cluster = cluster_of("simulated")
        return SimulatedEngine(replace(cluster, simulate=replace(cluster.simulate, **simulate)))

    return make


def test_all_fail_with_a_class_of_the_tree(simulated: Shop, engine_of: Callable[..., SimulatedEngine]) -> None:
    shop = replace(simulated, engine=engine_of(failure_rate=1.0))
    attempts = [simulated.attempt(stage) for stage in simulated.plan.stages.values()]

    reports = ends(shop.perform(*attempts))

    assert [type(report) for report in reports] == [Failed] * len(attempts)
    assert {report.error_class for report in reports if isinstance(report, Failed)} == {"MeasureFailed"}


def test_time_jumps_and_the_shortest_ends_first(simulated: Shop, engine_of: Callable[..., SimulatedEngine]) -> None:
    shop = replace(simulated, engine=engine_of(stage_s={"tune": 7200.0, "build": 60.0, "measure": 1.0}))
    attempts = [simulated.attempt(simulated.stages(kind)[0]) for kind in ("tune", "build", "measure")]

    reports = ends(shop.perform(*attempts))

    assert [report.seconds for report in reports] == [1.0, 60.0, 7200.0]


def test_two_runs_give_the_same_numbers(simulated: Shop, engine_of: Callable[..., SimulatedEngine]) -> None:
    stage = simulated.stages("measure")[0]

    results = []
    for _ in range(2):
        shop = replace(simulated, engine=engine_of(seed=3))
        (end,) = ends(shop.perform(simulated.attempt(stage)))
        assert isinstance(end, Done)
        results.append(end.result)

    assert results[0] == results[1]
    assert isinstance(results[0], Measurement)
    assert results[0].conditions["simulated"] is True
