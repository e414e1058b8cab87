"""A network that is still tuned is built by real compile workers, measured on a real device, and compared there."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from sweep.engine.inline import InlineEngine
from sweep.engine.stage_calls import MeasureCall, tune_call
from sweep.engine.tuner_worker import FutureNetworkService
from sweep.errors import BuildFailed, OutputMismatch
from sweep.toolchain.candidates.service import NetworkOrder
from tests.engine.shop import Shop

pytestmark = [pytest.mark.integration, pytest.mark.tvm]


def timed(shop: Shop, folder: Path, **changes: Any) -> Future[dict[str, Any]]:
    """What comes of the network of the first tune stage, once it is tuned."""
    assert isinstance(shop.engine, InlineEngine)
    stage = shop.stages("tune")[0]
    shop.finish(stage)
    call = tune_call(shop.attempt(stage))
    assert isinstance(call.job.network, NetworkOrder)
    order, engine = replace(call.job.network, **changes), shop.engine
    with ThreadPoolExecutor(1) as device:

        def measure(network: MeasureCall) -> Future[dict[str, Any]]:
            return device.submit(engine._device(network.device).measure, network)

        answer = engine._networks(call, measure).time_network(order, shop.sweep_dir / call.key, folder)
        answer.exception(120)
    return answer


def test_a_network_is_built_of_the_records_so_far_and_measured(inline: Shop, tmp_path: Path) -> None:
    result = timed(inline, tmp_path / "network").result()
    assert 0 < median(result["run_secs"]) < 1
    assert (tmp_path / "network" / "lib.so").exists()


def test_a_network_whose_answer_is_wrong_has_no_time(inline: Shop, tmp_path: Path) -> None:
    imported = inline.sweep_dir / inline.finish(inline.stages("import")[0]).folder() / "reference.npz"
    right = imported.read_bytes() if imported.exists() else b""
    try:
        with np.load(imported) as stored:
            wrong = {name: stored[name] + 1 for name in stored.files}
        np.savez(imported, **wrong)
        with pytest.raises(OutputMismatch):
            timed(inline, tmp_path / "network").result()
    finally:
        imported.write_bytes(right)


def test_a_network_that_cannot_be_built_is_not_measured(inline: Shop, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed):
        timed(inline, tmp_path / "network", lower_dir="artifacts/lower/absent").result()


class Asked:
    """Who builds and who measures; both answer when the test says so."""

    def __init__(self) -> None:
        self.building: Future[dict[str, Any]] = Future()
        self.measuring: Future[dict[str, Any]] = Future()
        self.visits: list[str | None] = []

    def answer(self, sweep_dir: Path) -> Future[dict[str, Any]]:
        def measure(network: MeasureCall) -> Future[dict[str, Any]]:
            self.visits.append(network.artifact_dir)
            return self.measuring

        (sweep_dir / "lower").mkdir()
        (sweep_dir / "lower" / "lowering.json").write_text('{"import_dir": "../import"}', encoding="utf-8")
        service = FutureNetworkService(sweep_dir, {}, "here", lambda job, arguments: self.building, measure)
        order = NetworkOrder("lower", {}, threads=1, threshold=None)
        return service.time_network(order, sweep_dir / "records", sweep_dir / "network")


def test_a_build_that_nobody_waits_for_is_ended_and_comes_to_no_board(tmp_path: Path) -> None:
    asked = Asked()
    assert asked.answer(tmp_path).cancel()
    assert (asked.building.cancelled(), asked.visits) == (True, [])


def test_a_build_that_ends_all_the_same_comes_to_no_board(tmp_path: Path) -> None:
    asked = Asked()
    answer = asked.answer(tmp_path)
    asked.building.set_running_or_notify_cancel()
    assert answer.cancel()
    asked.building.set_result({})
    assert asked.visits == []


def test_what_is_on_the_board_is_not_cancelled(tmp_path: Path) -> None:
    asked = Asked()
    answer = asked.answer(tmp_path)
    asked.building.set_result({})
    assert (answer.cancel(), asked.visits) == (False, [str(tmp_path / "network")])
    asked.measuring.set_result({"run_secs": [1.0]})
    assert answer.result(1) == {"run_secs": [1.0]}


def test_a_board_that_is_given_back_leaves_nobody_waiting(tmp_path: Path) -> None:
    asked = Asked()
    answer = asked.answer(tmp_path)
    asked.building.set_result({})
    asked.measuring.cancel()
    assert isinstance(answer.exception(1), CancelledError)
