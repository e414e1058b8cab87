"""A built network on a real device, and ONNX Runtime on the same cores."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from sweep.errors import MeasureFailed, MeasureTimeout, OutputMismatch
from tests.devices.parts import LAST_CORE, make_device
from tests.processes import command_of

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

MEASURE = {"repeat": 4, "min_repeat_ms": 5.0, "warmup": 2, "number": None, "timeout_s": 60.0}


def measure(
    session: DeviceSession,
    runtime: str,
    network: tuple[Path, Path],
    kernel: SentinelKernel | None = None,
    **changed: Any,
) -> dict[str, Any]:
    artifact_dir, import_dir = network
    if runtime == "tvm":
        return session.measure_artifact(artifact_dir, import_dir, MEASURE | changed, 1e-3, kernel)
    return session.measure_runtime(runtime, import_dir, MEASURE | changed, 1, 1e-3, kernel)


@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_both_runtimes_give_the_same_payload(
    runtime: str, session: DeviceSession, network: tuple[Path, Path], kernel: SentinelKernel
) -> None:
    result = measure(session, runtime, network, kernel)
    assert set(result) == {
        "run_secs", "number", "warmup_secs", "stopped_by", "output_max_abs_diff", "output_cosine_distance",
        "conditions", "peak_memory_bytes", "runtime_version", "reference_before_s", "reference_after_s",
        "reference_best_s", "tainted", "block", "set_aside",
    }  # fmt: skip
    assert len(result["run_secs"]) == 4
    assert len(result["warmup_secs"]) == 2
    assert all(0 < value < 1 for value in result["run_secs"])
    assert result["number"] * np.median(result["run_secs"]) > 0.1 * 0.005
    assert 0 <= result["output_cosine_distance"] < 1e-6
    assert 0 <= result["output_max_abs_diff"] < 1e-3
    assert result["conditions"]["cores"] == [LAST_CORE]
    assert result["conditions"]["thread_cores"] == [LAST_CORE]
    assert (result["conditions"]["threads"], result["conditions"]["runtime_threads"]) == (1, 1)
    assert result["conditions"]["cache_flush_bytes"] == 0
    assert len(result["reference_before_s"]) == len(result["reference_after_s"]) == 7
    assert all(1e-4 < value < 1 for value in result["reference_before_s"] + result["reference_after_s"])
    assert session.best_kernel_s["one"] == result["reference_best_s"] <= np.median(result["reference_before_s"])
    assert len(result["set_aside"]) <= 2
    assert not any("instead of" in reason["text"] for reason in result["tainted"])
    assert result["conditions"]["at_before"] < result["conditions"]["at_after"]
    assert 0 < result["peak_memory_bytes"] < 1 << 30
    assert result["runtime_version"][0].isdigit()


@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_caches_are_flushed_before_each_single_call(
    runtime: str, session: DeviceSession, network: tuple[Path, Path]
) -> None:
    cold = measure(session, runtime, network, cache_flush=True)
    assert cold["number"] == 1
    assert cold["conditions"]["cache_flush_bytes"] >= 64 << 20


@pytest.mark.slow
@pytest.mark.benchmark
@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_flushed_caches_slow_a_call(runtime: str, session: DeviceSession, network: tuple[Path, Path]) -> None:
    warm = measure(session, runtime, network, number=1, repeat=15)
    cold = measure(session, runtime, network, repeat=15, cache_flush=True)
    assert min(cold["run_secs"]) > min(warm["run_secs"])


@pytest.mark.parametrize("runtime", ["tvm", pytest.param("onnxruntime", marks=pytest.mark.slow)])
def test_a_disturbed_measurement_is_told_and_taken_again(
    runtime: str, session: DeviceSession, network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process spins on the device's core all the while."""
    spin = f"import os; os.sched_setaffinity(0, {{{LAST_CORE}}}); print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            result = measure(session, runtime, network)
        finally:
            busy.kill()
    assert any("wanted the cores" in reason["text"] for reason in result["tainted"])
    assert [len(one["run_secs"]) for one in result["set_aside"]] == [4, 4]
    assert all(one["tainted"] for one in result["set_aside"])


@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_given_number_is_not_calibrated(runtime: str, session: DeviceSession, network: tuple[Path, Path]) -> None:
    result = measure(session, runtime, network, number=3, warmup=0)
    assert (result["number"], result["warmup_secs"]) == (3, [])


@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_wrong_output_is_no_measurement(
    runtime: str, session: DeviceSession, network: tuple[Path, Path], tmp_path: Path
) -> None:
    artifact_dir, import_dir = network
    tampered = tmp_path / "import"
    shutil.copytree(import_dir, tampered)
    with np.load(import_dir / "reference.npz") as stored:
        reference = stored["output_0"]
    reference[0, 0] += 0.5
    np.savez(tampered / "reference.npz", output_0=reference)
    with pytest.raises(OutputMismatch, match=r"max absolute difference 0\.5"):
        measure(session, runtime, (artifact_dir, tampered))


@pytest.mark.parametrize("runtime", ["tvm", "onnxruntime"])
def test_without_reference_the_figures_are_null(
    runtime: str, session: DeviceSession, network: tuple[Path, Path], tmp_path: Path
) -> None:
    artifact_dir, import_dir = network
    bare = tmp_path / "import"
    shutil.copytree(import_dir, bare)
    (bare / "reference.npz").unlink()
    result = measure(session, runtime, (artifact_dir, bare))
    assert result["output_max_abs_diff"] is None
    assert result["output_cosine_distance"] is None


def test_artifact_of_another_network_is_refused(
    session: DeviceSession, network: tuple[Path, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "inputs.npz", x=np.zeros((5, 32), "float32"))
    with pytest.raises(MeasureFailed, match="inputs of shapes"):
        session.measure_artifact(network[0], tmp_path, MEASURE, 1e-3)


@pytest.mark.parametrize("runtime", ["tvm", pytest.param("onnxruntime", marks=pytest.mark.slow)])
def test_measurement_that_takes_too_long_is_ended(
    runtime: str, session: DeviceSession, network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.devices.runtimes.child_process.START_S", 0.5)
    with pytest.raises(MeasureTimeout, match="did not finish within"):
        measure(session, runtime, network, number=10_000_000, timeout_s=1.0)
    assert not [p for p in psutil.Process().children(recursive=True) if "runtimes.child" in " ".join(command_of(p))]
    assert measure(session, runtime, network)["run_secs"]


def test_damaged_network_is_one_line(session: DeviceSession, network: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(network[1], tmp_path / "import")
    (tmp_path / "import" / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(MeasureFailed, match="ONNX Runtime: ") as caught:
        session.measure_runtime("onnxruntime", tmp_path / "import", MEASURE, 1, None)
    assert "\n" not in str(caught.value)


def test_no_reference_runtime_on_a_board_elsewhere(tmp_path: Path) -> None:
    board = DeviceSession(make_device("board", (), threads=4, managed=False), "127.0.0.1", 1, tmp_path)
    with pytest.raises(MeasureFailed, match="the device is not this host"):
        board.measure_runtime("onnxruntime", tmp_path, MEASURE, 4, 1e-3)


def test_reference_runs_on_the_threads_it_is_given(
    open_session: Callable[..., DeviceSession], network: tuple[Path, Path]
) -> None:
    result = open_session("all").measure_runtime("onnxruntime", network[1], MEASURE, 2, 1e-3)
    assert result["conditions"]["threads"] == 2
    assert len(result["conditions"]["cores"]) == 2
