"""A TFLite network of int8 computes in integers and gives what LiteRT gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tflite_files import quantised_network
from tests.toolchain.integers.conftest import HOST, lowered
from tests.toolchain.models.tflite.conftest import drawn, litert, read
from tests.toolchain.quick_builds import machine_of, quick

pytestmark = pytest.mark.tvm


def test_it_is_within_a_step_of_litert(tmp_path: Path) -> None:
    import tvm

    from sweep.toolchain.lowering import finish
    from sweep.toolchain.mac_types import macs_by_type
    from sweep.toolchain.tvm_loader import resolve_target

    path, target = tmp_path / "net.tflite", resolve_target(quick(HOST))
    path.write_bytes(quantised_network())
    module = lowered(read(path).relax(), 3)
    assert all(dtype.startswith("int") for dtype in macs_by_type(module))
    machine = machine_of(finish(module, 3, target)[0], target)
    apart = []
    for seed in range(16):
        data = drawn((1, 6, 6, 8), seed=seed)
        ours = [each.numpy() for each in machine["main"](tvm.runtime.tensor(data))]
        for one, other in zip(ours, litert(path, [data]), strict=True):
            assert one.min() < one.max(), "a test that cannot fail"
            apart.append(np.abs(one.astype(int) - other.astype(int)).ravel())
    off = np.concatenate(apart)
    assert np.mean(off <= 1) >= 0.99
    assert np.mean(off == 0) >= 0.8  # LiteRT adds in fixed point
