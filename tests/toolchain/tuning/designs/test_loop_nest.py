"""What tuners are told of a CPU."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.tvm


@pytest.mark.parametrize(
    ("attrs", "lanes", "registers"),
    [
        ({"mcpu": "x86-64"}, 4, 16),
        ({"mcpu": "core-avx2"}, 8, 16),
        ({"mcpu": "skylake-avx512"}, 16, 32),
        ({"mcpu": "skylake-avx512", "vector-width": 256}, 8, 16),
        ({"mtriple": "aarch64-linux-gnu", "mattr": ["+neon"]}, 4, 32),
    ],
)
def test_a_cpu_has_the_vectors_of_its_features(attrs: dict[str, Any], lanes: int, registers: int) -> None:
    from sweep.toolchain.tuning.designs.loop_nest import machine_of
    from sweep.toolchain.tvm_loader import resolve_target

    machine = machine_of(resolve_target({"kind": "llvm", **attrs}))
    assert (machine.lanes, machine.registers) == (lanes, registers)
