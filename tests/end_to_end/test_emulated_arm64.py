"""This machine and an emulated AArch64 board in one study: cross-compiled, cross-linked, measured over RPC.

The board is made by `clusters/emulated-arm64/setup.sh FOLDER`, which downloads; where SWEEP_ARM64_ROOT names no such
folder these tests are skipped. Its times mean nothing and none is looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.end_to_end.place import ROOT, Place

BOARD = Path(os.environ.get("SWEEP_ARM64_ROOT", "/nowhere"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.tvm,
    pytest.mark.ray,
    pytest.mark.mlflow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        not (BOARD / "bin" / "python").exists(),
        reason="SWEEP_ARM64_ROOT names no folder that clusters/emulated-arm64/setup.sh has filled",
    ),
]

LIMIT_S = 1800.0
CLUSTER = ROOT / "clusters" / "emulated-arm64.yaml"
MEASURED = {"done", "tainted"}
"""Its times may be disturbed."""
MACHINES = {62: "x86-64", 183: "aarch64", 243: "riscv64"}

BOTH = """
study: two-architectures
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 2, number: 1, repeat: 1, min_repeat_ms: 0, runner_timeout_s: 120}]
measure: {repeat: 3, min_repeat_ms: 1}
"""

MORE_THAN_IT_CAN = """
study: more-than-it-can
final: null
models: [tiny.onnx]
axes: {precision: [float16, float32]}
devices: [emulated-arm64]
measure: {repeat: 3, min_repeat_ms: 1}
"""


def finish(place: Place) -> tuple[int, str]:
    running = place.start()
    out, err = running.communicate(timeout=LIMIT_S)
    return running.returncode, f"{out}\n{err}"


def rounding(place: Place) -> float:
    """The most that rounding explains, in float32 sums of a small network: a millionth of the largest output."""
    (reference,) = place.out.glob("artifacts/import/*/reference.npz")
    with np.load(reference) as stored:
        return 1e-6 * max(float(np.abs(stored[name]).max()) for name in stored.files)


def machine_of(library: Path) -> str:
    """The architecture of a shared library, by its ELF header."""
    return MACHINES[int.from_bytes(library.read_bytes()[18:20], "little")]


def test_a_farm_of_both_comes_up_and_goes_down(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "sweep", "farm"]

    def farm(*what: str) -> str:
        asked = [*command, *what, str(CLUSTER)]
        return subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout

    def free() -> dict[str, int]:
        return {key: found["free"] for key, found in json.loads(farm("status", "--json"))["devices"].items()}

    up = subprocess.Popen([*command, "up", str(CLUSTER)], env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + LIMIT_S
        while free() != {"local-native": 1, "emulated-arm64": 1}:
            assert up.poll() is None, "the farm has ended"
            assert time.monotonic() < deadline, "the board never came"
            time.sleep(1)
        farm("down")
        assert up.wait(timeout=60) == 0
    finally:
        up.terminate()
        up.wait()


def test_a_study_over_both_gives_the_references_outputs(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", BOTH, CLUSTER.read_text())
    code, said = finish(place)
    assert code == 0, said

    rows = pd.read_parquet(place.out / "results.parquet")
    assert set(rows.status) <= MEASURED
    counts = rows.groupby(["device", "runtime"]).size().to_dict()
    assert counts == {("local-native", "onnxruntime"): 1, ("local-native", "tvm"): 2, ("emulated-arm64", "tvm"): 2}
    emulated = rows[rows.device == "emulated-arm64"]
    assert (emulated.output_max_abs_diff <= rounding(place)).all()
    assert all("aarch64" in text for text in emulated.target_json)
    built = [machine_of(library) for library in place.out.glob("artifacts/build/*/lib.so")]
    assert sorted(built) == ["aarch64", "aarch64", "x86-64", "x86-64"]
    left_out = json.loads((place.out / "plan.json").read_text())["left_out"]
    assert len(left_out) == 1
    assert "under an interpreter of its own" in left_out[0]
    trials = pd.read_parquet(place.out / "tuning_records.parquet")
    assert trials[trials.device == "emulated-arm64"].run_secs.notna().any(), "no candidate ran on the board"
    assert place.processes() == []


def test_code_for_more_than_the_board_has_fails_alone(tmp_path: Path) -> None:
    cluster = CLUSTER.read_text().replace("QEMU_CPU: max", "QEMU_CPU: cortex-a53").replace("[+neon]", "[+fullfp16]")
    assert cluster.count("cortex-a53}") == cluster.count("[+fullfp16]") == 1
    place = Place(tmp_path / "place", MORE_THAN_IT_CAN, cluster)
    code, said = finish(place)
    assert code == 1, said

    rows = pd.read_parquet(place.out / "results.parquet").set_index("precision")
    assert rows.status["float16"] == "failed"
    assert rows.status["float32"] in MEASURED
    assert rows.error_class["float16"] == "MeasureFailed"
    assert "the code died of SIGILL" in rows.error["float16"]
    assert rows.output_max_abs_diff["float32"] <= rounding(place)
