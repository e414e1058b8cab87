"""A library that is loaded once, and a process of its own for each measurement all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes.child_process import LoadedRuntimes, measure_in_child
from sweep.errors import MeasureFailed, WorkerKilled
from sweep.study.profile_options import ProfilePoint
from tests.devices.parts import LAST_CORE, make_device, until
from tests.processes import command_of, is_gone

pytestmark = [pytest.mark.integration]

MEASURE = {"repeat": 3, "min_repeat_ms": 0.0, "warmup": 1, "number": 2, "timeout_s": 60.0}
PLACE = MeasuringPlace((LAST_CORE,), 1, None)
TOYS = "tests.seams.toy_runtime"
ONCE = f"{TOYS}:ONCE"


@pytest.fixture
def loaded() -> Iterator[LoadedRuntimes]:
    kept = LoadedRuntimes()
    yield kept
    kept.close()


def measured(loaded: LoadedRuntimes, runtime: str, import_dir: Path, **point: Any) -> dict[str, Any]:
    return measure_in_child(runtime, import_dir, MEASURE, PLACE, 1e-3, loaded=loaded.ready(runtime, 1), **point)


def keepers() -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [process for process in below if "sweep.devices.runtimes.forking.forking_child" in command_of(process)]


def test_each_measurement_is_a_process_of_its_own_and_the_library_is_loaded_once(
    loaded: LoadedRuntimes, network: tuple[Path, Path]
) -> None:
    first, second = (measured(loaded, ONCE, network[1])["conditions"] for _ in range(2))
    assert first["pid"] != second["pid"]
    assert first["loaded_by"] == second["loaded_by"] == first["parent"] == second["parent"]
    assert first["cores"] == [LAST_CORE]
    assert len(keepers()) == 1
    loaded.close()
    assert not keepers()


def test_onnx_runtime_is_loaded_once_and_tells_the_same(loaded: LoadedRuntimes, network: tuple[Path, Path]) -> None:
    """Its library starts no thread before a network is opened, else its process could not be forked."""
    assert loaded.ready("onnxruntime", 1) is not None
    forked = measured(loaded, "onnxruntime", network[1])
    fresh = measure_in_child("onnxruntime", network[1], MEASURE, PLACE, 1e-3)
    assert set(forked) == set(fresh)
    for told in ("output_max_abs_diff", "runtime_version"):
        assert forked[told] == fresh[told]
    for told in ("cores", "thread_cores", "runtime_threads"):
        assert forked["conditions"][told] == fresh["conditions"][told]


@pytest.mark.parametrize("runtime", [f"{TOYS}:TOY", f"{TOYS}:THREADED", f"{TOYS}:UNLOADABLE"])
def test_what_says_nothing_has_threads_or_does_not_load_has_a_process_from_the_start(
    runtime: str, loaded: LoadedRuntimes, network: tuple[Path, Path]
) -> None:
    assert loaded.ready(runtime, 1) is None
    assert not keepers()
    assert len(measured(loaded, runtime, network[1])["run_secs"]) == 3


def test_memory_is_observed_in_a_process_that_has_held_nothing(
    loaded: LoadedRuntimes, network: tuple[Path, Path]
) -> None:
    point = ProfilePoint(variable="memory")
    told = measured(loaded, ONCE, network[1], point=point)["conditions"]
    assert told["loaded_by"] == told["pid"] != keepers()[0].pid


def test_an_error_and_the_death_of_a_child_are_the_measurements_alone(
    loaded: LoadedRuntimes, network: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(MeasureFailed, match=r"^Loaded Once's process ended with 1: .*inputs\.npz"):
        measured(loaded, ONCE, tmp_path)
    (tmp_path / "killed").touch()
    for name in ("inputs.npz", "model.onnx"):
        (tmp_path / name).write_bytes((network[1] / name).read_bytes())
    with pytest.raises(WorkerKilled, match=r"^Loaded Once's process was killed with SIGKILL"):
        measured(loaded, ONCE, tmp_path)
    (keeper,) = keepers()
    assert len(measured(loaded, ONCE, network[1])["run_secs"]) == 3
    assert keepers() == [keeper]


def test_one_that_was_killed_itself_is_replaced(loaded: LoadedRuntimes, network: tuple[Path, Path]) -> None:
    perform = loaded.ready(ONCE, 1)
    (keeper,) = keepers()
    keeper.kill()
    with pytest.raises(WorkerKilled, match=r"^Loaded Once's process was killed with SIGKILL"):
        measure_in_child(ONCE, network[1], MEASURE, PLACE, 1e-3, loaded=perform)
    assert len(measured(loaded, ONCE, network[1])["run_secs"]) == 3
    assert keepers() != [keeper]


def test_a_runtime_is_measured_while_no_board_is_there_yet(tmp_path: Path, network: tuple[Path, Path]) -> None:
    """No server has a part in it, and nobody answers at this tracker."""
    session = DeviceSession(make_device("one"), "127.0.0.1", 1, tmp_path / "locks")
    session.load_runtime("onnxruntime", 1)
    until(lambda: len(keepers()) == 1, "it loads, and nobody waits for it")
    (keeper,) = keepers()
    assert len(session.measure_runtime("onnxruntime", network[1], MEASURE, 1, 1e-3)["run_secs"]) == 3
    session.close()
    assert is_gone(keeper)
