"""What a builder makes for others can be ended by who ordered it, in whatever order the calls arrive."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from sweep.engine.ray.orders import Orders
from sweep.engine.ray.ray_engine import RayEngine
from sweep.toolchain.compile_job import CompileJob
from tests.devices.parts import until
from tests.engine.shop import LIMIT_S, Shop
from tests.toolchain.conftest import JOBS, alive


def test_what_is_cancelled_while_it_is_made_is_ended() -> None:
    orders, making = Orders(), Future[dict[str, Any]]()
    with orders.taken("a", lambda: making):
        orders.cancel("b")
        assert not making.cancelled()
        orders.cancel("a")
        assert making.cancelled()


def test_what_is_cancelled_before_it_is_taken_does_not_begin() -> None:
    orders, begun = Orders(), list[str]()
    orders.cancel("a")

    def begin() -> Future[dict[str, Any]]:
        begun.append("a")
        return Future()

    with pytest.raises(CancelledError), orders.taken("a", begin):
        pass
    assert begun == []


@pytest.mark.integration
@pytest.mark.tvm
@pytest.mark.ray
def test_who_cancels_an_answer_ends_the_job_on_its_node(ray: Shop, tmp_path: Path) -> None:
    assert isinstance(ray.engine, RayEngine)
    assert ray.engine._actors is not None
    pid_file = tmp_path / "pids"
    job = CompileJob(f"{JOBS}:hang_with_grandchild")
    answer = ray.engine._actors.builders.make(job, {"pid_file": str(pid_file)})
    until(lambda: pid_file.is_file() and len(pid_file.read_text().split()) == 2, "the job has begun", LIMIT_S)
    assert answer.cancel()
    pids = [int(pid) for pid in pid_file.read_text().split()]
    until(lambda: not any(alive(pid) for pid in pids), "the job is ended", LIMIT_S)
