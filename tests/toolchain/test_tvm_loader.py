from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from sweep.errors import ToolchainError
from tests.toolchain.conftest import Run

pytestmark = pytest.mark.tvm


def test_a_tune_context_loads_only_the_wanted_intrinsics(run: Run) -> None:
    """Upstream loads every target's on the first TuneContext: 14 s for CUDA's alone."""
    found = run(":make_tune_context")
    assert found["spaces"] > 0
    assert "tvm.s_tir.tensor_intrin.x86" in found["modules"]
    assert not {f"tvm.s_tir.tensor_intrin.{name}" for name in ("cuda", "rocm", "hexagon", "metal")} & set(
        found["modules"]
    )


@pytest.mark.slow
def test_harmless_beside_an_intrinsics_package_that_is_loaded_already() -> None:
    code = """
import sys, types, tvm.s_tir
real = types.ModuleType("tvm.s_tir.tensor_intrin")
real.__path__ = [tvm.s_tir.__path__[0] + "/tensor_intrin"]
sys.modules[real.__name__] = real
from sweep.toolchain.tvm_loader import load_tvm
assert load_tvm().__name__ == load_tvm(("x86",)).__name__ == "tvm"
assert sys.modules[real.__name__] is real
assert "tvm.s_tir.tensor_intrin.x86" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra `torch`")
def test_tvm_comes_without_torch_and_torch_can_be_had_afterwards() -> None:
    """The FFI imports it wherever it is installed: 1.4 s of CPU and 200 MB in each process of a run."""
    code = """
import sys
from sweep.toolchain.tvm_loader import load_tvm
load_tvm()
assert "torch" not in sys.modules
import torch, tvm
assert tvm.runtime.from_dlpack(torch.ones(2)).numpy().tolist() == [1.0, 1.0]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_native_is_the_cpu_of_this_host(run: Run) -> None:
    target = run(":resolve", target={"kind": "llvm", "native": "any id", "num-cores": 3})
    assert target["kind"] == "llvm"
    assert target["num-cores"] == 3
    assert target["mcpu"]
    assert "native" not in target


def test_features_that_the_host_hides_are_switched_off(run: Run) -> None:
    """A hypervisor may mask AVX-512 on a CPU whose name implies it; code that uses it would die of SIGILL."""
    target = run(":resolve_native_with_flags", flags=["avx", "avx2", "fma", "f16c"])
    assert not any(name in ("-avx2", "-fma") for name in target.get("mattr", []))
    if "512" in str(run(":resolve", target={"kind": "llvm", "native": "x"})) or "mattr" in target:
        assert "-avx512f" in target["mattr"]


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 2},
        pytest.param({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon"]}, marks=pytest.mark.slow),
        {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "num-cores": 4},
        {"kind": "llvm", "mtriple": "riscv64-linux-gnu", "num-cores": 4},
    ],
)
def test_a_dict_comes_back_as_it_was(run: Run, target: dict[str, Any]) -> None:
    assert run(":resolve", target=target) == target


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"kind": "llvm", "mcpu": "core-avx22"}, "no CPU 'core-avx22' for this host; did you mean 'core-avx"),
        ({"kind": "llvm", "mcpu": "znver3", "mtriple": "aarch64-linux-gnu"}, "no CPU 'znver3' for aarch64-linux-gnu"),
        ({"kind": "llvm", "mtriple": "vax-dec-vms"}, "unknown architecture in mtriple 'vax-dec-vms'"),
        ({"kind": "lvm"}, 'TVM refuses the target {"kind": "lvm"}'),
        ({"kind": "llvm", "colour": "red"}, "TVM refuses the target"),
        ({"mcpu": "core-avx2"}, "TVM refuses the target"),
    ],
)
def test_impossible_targets_are_refused(run: Run, target: dict[str, Any], text: str) -> None:
    with pytest.raises(ToolchainError, match=text.replace("{", r"\{")) as caught:
        run(":resolve", target=target)
    assert "\n" not in str(caught.value)
