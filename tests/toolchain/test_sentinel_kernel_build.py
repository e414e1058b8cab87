"""The sentinel kernel computes what it says, for a device's target and threads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.toolchain.conftest import TARGET, Run

pytestmark = pytest.mark.tvm


@pytest.mark.parametrize("threads", [1, 2])
def test_it_computes_something(run: Run, tmp_path: Path, threads: int) -> None:
    lib = tmp_path / "folder" / "kernel.so"
    made = run("build_sentinel_kernel", target=TARGET, threads=threads, out_path=str(lib))
    assert made["lib"] == str(lib)
    assert [arg["shape"][0] for arg in made["args"][:2]] == [128 * threads, 128]
    found = run(":run_sentinel_kernel", **made)
    assert found["rounds"] >= 1
    assert found["product"] < 1e-3
    assert found["stream"] < 1e-6


@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-gcc") is None, reason="needs a linker for aarch64")
def test_it_is_compiled_for_another_architecture(run: Run, tmp_path: Path) -> None:
    target = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"}
    run("build_sentinel_kernel", target=target, threads=4, out_path=str(tmp_path / "kernel.so"))
    assert (tmp_path / "kernel.so").read_bytes()[18] == 183  # ELF's number of the architecture
