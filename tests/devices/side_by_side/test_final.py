"""A final on a real device that has the cores for two networks at once, and which devices have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.final_place import places_of
from sweep.devices.device_session import DeviceSession
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from sweep.devices.runtimes.duel_on import DuelContender
from sweep.devices.side_by_side.core_groups import core_groups, why_in_turns
from sweep.planning.results.final_result import Contender, FinalResult
from sweep.study.cluster.cluster import Server
from tests.devices.parts import ALL_CORES, make_device

needs_two_cores = pytest.mark.skipif(len(ALL_CORES) < 2, reason="two networks run side by side on two cores")
MEASURE = {"repeat": 1, "min_repeat_ms": 1, "warmup": 1, "number": None, "timeout_s": 60.0}
RUNTIMES = "tests.devices.side_by_side.runtimes"


def contender(network: tuple[Path, Path], runtime: str) -> DuelContender:
    return DuelContender(
        runtime, network[0] if runtime == "tvm" else None, network[1], MEASURE, threads=1, threshold=1e-3
    )


@pytest.mark.integration
@pytest.mark.tvm
@needs_two_cores
def test_pairs_run_side_by_side_and_what_leaves_its_cores_takes_no_part(
    open_session: Callable[..., DeviceSession], network: tuple[Path, Path], kernel: SentinelKernel
) -> None:
    contenders = [contender(network, name) for name in ("tvm", "onnxruntime", f"{RUNTIMES}:STRAYING")]
    told = open_session("pair").duel(contenders, 0.3, 60.0, kernel, side_by_side=True)

    assert told["in_turns_because"] is None
    assert told["conditions"]["core_groups"] == [[core] for core in ALL_CORES[:2]]
    compiled, rival, straying = told["contenders"]
    for one in (compiled, rival):
        assert len(one["rounds_by_heat"]) == len(told["reference_s"])
        assert len(one["run_secs"]) == len(one["leader_secs"]) == 2 * sum(one["rounds_by_heat"]) > 0
        assert one["failure"] is None
        assert one["conditions"]["thread_cores"] == [ALL_CORES[0]]
        assert one["conditions"]["runtime_threads"] == 1
    assert compiled["leader_secs"] == compiled["run_secs"], "it is the only one that may lead"
    assert rival["leader_secs"] != rival["run_secs"]
    assert straying["failure"].startswith("MeasureFailed: Straying ran on cores")


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.tvm
@needs_two_cores
def test_each_heat_has_processes_of_its_own(
    open_session: Callable[..., DeviceSession], network: tuple[Path, Path], tmp_path: Path
) -> None:
    imported = Path(shutil.copytree(network[1], tmp_path / "import"))
    names = ("tvm", f"{RUNTIMES}:COUNTED")
    contenders = [contender((network[0], imported), name) for name in names]
    told = open_session("pair").duel(contenders, 120.0, 60.0, side_by_side=True)

    pids = (imported / "pids").read_text().split()
    assert len(set(pids)) == len(pids) == len(told["contenders"][1]["rounds_by_heat"]) > 1
    entered = [
        Contender.from_json({"cell": name, "is_compiled": name == "tvm", **one})
        for name, one in zip(names, told["contenders"], strict=True)
    ]
    assert places_of("f", FinalResult(contenders=tuple(entered), looks=told["looks"])).keys() == set(names)


@pytest.mark.parametrize(
    ("changed", "threads", "reason"),
    [
        ({}, 1, None),
        ({}, 2, None),
        ({}, 3, "d has 4 cores, and two networks of 3 threads each want 6"),
        ({"managed": False}, 1, "d is not this host"),
        ({"server": Server(python="/usr/bin/qemu")}, 1, "d is not this host"),
        ({"target": {"kind": "cuda"}}, 1, "d is no CPU"),
    ],
)
def test_which_devices_hold_a_final_side_by_side(changed: dict[str, Any], threads: int, reason: str | None) -> None:
    assert why_in_turns(make_device("d", (4, 5, 6, 7), **changed), threads) == reason


def test_a_pair_has_the_first_cores_of_the_cluster_file_and_those_after_them() -> None:
    assert core_groups((0, 2, 1, 3), 1) == ((0,), (2,))
    assert core_groups((0, 2, 1, 3), 2) == ((0, 2), (1, 3))
