"""Any runtime in the one process that runs them: found by name, measured by the same rules, blamed by its title."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes.child_process import measure_in_child
from sweep.errors import MeasureFailed, WorkerKilled
from tests.devices.parts import LAST_CORE
from tests.seams.toy_runtime import TOY

pytestmark = [pytest.mark.integration]

MEASURE = {"repeat": 3, "min_repeat_ms": 0.0, "warmup": 1, "number": 2, "timeout_s": 60.0}
PLACE = MeasuringPlace((LAST_CORE,), 1, None)
TOYS = "tests.seams.toy_runtime"


def measured(runtime: str, network: tuple[Path, Path], **changed: Any) -> dict[str, Any]:
    return measure_in_child(runtime, network[1], MEASURE | changed, PLACE, 1e-3)


def test_a_runtime_from_outside_gives_the_payload_of_a_shipped_one(network: tuple[Path, Path]) -> None:
    toy, shipped = (measured(runtime, network) for runtime in (f"{TOYS}:TOY", "onnxruntime"))
    assert set(toy) == set(shipped)
    assert len(toy["run_secs"]) == 3
    assert all(0 < value < 1 for value in toy["run_secs"])
    assert 0 <= toy["output_max_abs_diff"] < 1e-3
    assert toy["conditions"]["cores"] == [LAST_CORE]
    assert (toy["conditions"]["runtime_threads"], shipped["conditions"]["runtime_threads"]) == (None, 1)
    assert toy["runtime_version"] != shipped["runtime_version"]


def test_its_own_clock_conditions_and_memory_are_taken(network: tuple[Path, Path]) -> None:
    result = measured(f"{TOYS}:TALKATIVE", network)
    assert result["run_secs"] == [0.25] * 3
    assert (result["conditions"]["runtime_threads"], result["conditions"]["delegate"]) == (1, "none")
    assert result["peak_memory_bytes"] == 12345


def test_its_failures_bear_its_title(network: tuple[Path, Path]) -> None:
    with pytest.raises(MeasureFailed, match=r"^Broken Runtime: no such network$"):
        measured(f"{TOYS}:BROKEN", network)


def test_a_process_that_is_killed_says_nothing_of_the_network(network: tuple[Path, Path]) -> None:
    with pytest.raises(WorkerKilled, match=r"^Killed Runtime's process was killed with SIGKILL"):
        measured(f"{TOYS}:KILLED", network)


def test_one_is_found_wherever_its_owner_finds_it(
    network: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that is not on PYTHONPATH."""
    (tmp_path / "only_on_path.py").write_text(f"from {TOYS} import TOY\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(measured("only_on_path:TOY", network)["run_secs"]) == 3


def test_one_that_the_child_cannot_find_fails_the_cell_alone(
    network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found where the study was read, by that process alone."""
    only_here = ModuleType("only_here")
    only_here.__dict__["TOY"] = TOY
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    with pytest.raises(MeasureFailed, match="only_here"):
        measured("only_here:TOY", network)
