"""OpenVINO in its own process: it names the number type that it computes in, and tells nobody of its user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes.child_process import measure_in_child
from sweep.errors import MeasureFailed
from sweep.study.runtimes import Runtime, runtime_of
from tests.devices.parts import LAST_CORE

pytestmark = [pytest.mark.integration]
pytest.importorskip("openvino", reason="the extra `openvino`")

MEASURE = {"repeat": 2, "min_repeat_ms": 0.0, "warmup": 1, "number": 1, "timeout_s": 60.0}
PLACE = MeasuringPlace((LAST_CORE,), 1, None)


def measured(runtime: str, network: tuple[Path, Path]) -> dict[str, Any]:
    about = runtime_of(runtime)
    return measure_in_child(runtime, network[1], MEASURE, PLACE, about.tolerance or 1e-3)


def test_each_row_names_what_it_computed_in_and_nothing_is_told_of_its_user(
    network: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing OpenVINO as it is makes `intel/openvino_ga_cid` in the home folder, and sends what it says."""
    monkeypatch.setenv("HOME", str(tmp_path))
    results = {name: measured(name, network) for name in ("openvino", "openvino-default")}
    told = {name: result["conditions"]["computed_in"] for name, result in results.items()}
    assert told["openvino"] == "float32"
    assert told["openvino-default"] in ("float32", "bfloat16", "float16")
    for result in results.values():
        assert result["conditions"]["runtime_threads"] == 1
        assert result["conditions"]["cores"] == [LAST_CORE]
        assert len(result["run_secs"]) == 2
    assert results["openvino"]["output_max_abs_diff"] < 1e-4
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_not_installed_says_what_to_install(network: tuple[Path, Path]) -> None:
    place = "tests.devices.runtimes.test_openvino:ABSENT"
    with pytest.raises(
        MeasureFailed, match=r"^Absent: no-such-package is not installed; pip install 'tvm-sweep\[x\]'$"
    ):
        measure_in_child(place, network[1], MEASURE, PLACE, 1e-3)


ABSENT = Runtime("absent", "Absent", ("no-such-package",), formats=("onnx",), extra="x")
