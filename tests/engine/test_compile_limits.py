"""What a job of the compile pool may take is its own, whoever submits it: a candidate little, a whole network much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweep.engine.inline import InlineEngine
from sweep.engine.stage_calls import compile_call
from sweep.planning.kinds import kind_of
from sweep.toolchain.compile_job import (
    BUILD_CANDIDATE,
    BUILD_LAYERS,
    BUILD_NETWORK,
    BUILD_PLACED_LAYERS,
    CompileJob,
)
from tests.engine.shop import Shop
from tests.toolchain.conftest import JOBS

SPACE = f"{JOBS}:address_space"


@pytest.mark.integration
@pytest.mark.tvm
def test_a_stage_on_a_device_has_networks_compiled_in_as_much_memory_as_any_stage(inline: Shop) -> None:
    assert isinstance(inline.engine, InlineEngine)
    stage = inline.engine._compile_pool.submit(CompileJob(SPACE), {}).result(60)["bytes"]
    device = inline.engine._device("here")
    layers, candidate = (
        device.compile(replace(job, function=SPACE), {})["bytes"]
        for job in (BUILD_PLACED_LAYERS, replace(BUILD_CANDIDATE, memory_bytes=2**30))
    )
    assert candidate + 2**28 < layers
    assert abs(layers - stage) < 2**28, "children of one server, apart by what it has mapped since"


@pytest.mark.parametrize("job", [BUILD_NETWORK, BUILD_LAYERS, BUILD_PLACED_LAYERS], ids=lambda job: job.function)
def test_what_compiles_a_network_may_take_as_long_as_its_stage(simulated: Shop, job: CompileJob) -> None:
    limit_s = kind_of(simulated.stages("build")[0]).limit_s
    assert job.limit_s is not None
    assert limit_s is not None
    assert job.limit_s >= limit_s
    assert (job.memory_bytes, job.is_candidate) == (None, False)


@pytest.mark.parametrize(("own_s", "left_s", "limit_s"), [(9, 5, 5), (5, 9, 5), (5, None, 5), (None, 9, 9)])
def test_a_job_takes_no_longer_than_is_left_for_it(own_s: Any, left_s: Any, limit_s: float) -> None:
    assert CompileJob("a:b", limit_s=own_s).within(left_s).limit_s == limit_s


def test_a_compile_stage_takes_no_longer_than_is_left_to_its_cell(simulated: Shop) -> None:
    stage = simulated.stages("import")[0]
    attempt = simulated.attempt(stage)
    assert compile_call(attempt, simulated.sweep_dir).job.limit_s == kind_of(stage).limit_s
    assert compile_call(replace(attempt, limit_s=7.0), simulated.sweep_dir).job.limit_s == 7.0
