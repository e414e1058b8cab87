"""exp, tanh and erf of float32 in vectors: as accurate as the C library's, and without a call of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

pytestmark = pytest.mark.tvm

HOST = {"kind": "llvm", "native": "here", "num-cores": 1}
ARM = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon"], "num-cores": 1}
MOST_UNITS = 2.0
"""In the last place."""
FUNCTIONS = {"exp": np.exp, "tanh": np.tanh, "erf": special.erf}


def compiled(name: str, size: int, target: dict[str, Any], dtype: str = "float32", lanes: int = 8) -> Any:
    """A loop of vectors over one of the functions."""
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm()
    from tvm import te
    from tvm.s_tir import Schedule

    data = te.placeholder((size,), dtype, name="data")
    result = te.compute((size,), lambda i: getattr(te, name)(data[i]), name="result")
    schedule = Schedule(te.create_prim_func([data, result]))
    [loop] = schedule.get_loops(schedule.get_sblock("result"))
    if lanes > 1:
        schedule.vectorize(schedule.split(loop, [None, lanes])[1])
    return tvm.compile(schedule.mod, resolve_target(target))


def calls(library: Any) -> set[str]:
    """What is called of the C library."""
    return set(re.findall(r"\b(?:call\w*|bl)\s+((?:exp|tanh|erf)\w*)", library.mod.inspect_source("asm")))


def values_of(library: Any, values: Any) -> Any:
    import tvm

    arguments = [tvm.runtime.tensor(values), tvm.runtime.tensor(np.zeros_like(values))]
    library["main"](*arguments)
    return arguments[1].numpy()


def near_and_far(count: int) -> Any:
    """Numbers of all sizes, and those at which a formula takes over from another."""
    spans = np.asarray([1e-30, 1e-3, 0.3, 0.6, 1.1, 5.0, 90.0, 110.0])
    drawn = np.random.default_rng(0).uniform(-1.0, 1.0, (len(spans), count // len(spans))) * spans[:, None]
    values = drawn.astype(np.float32).reshape(-1)
    edges = [0.55, 1.0, 4.0, 88.72, 88.73, 87.33, 103.9, 104.1, 0.34657, 0.0]
    values[: 2 * len(edges)] = [*edges, *(-edge for edge in edges)]
    return values


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize(("name", "reference"), FUNCTIONS.items())
def test_it_is_right_to_two_units_in_the_last_place(name: str, reference: Callable[[Any], Any], lanes: int) -> None:
    values = near_and_far(1 << 14)
    found = values_of(compiled(name, len(values), HOST, lanes=lanes), values).astype(np.float64)
    with np.errstate(over="ignore"):
        exact = reference(values.astype(np.float64))
        nearest = exact.astype(np.float32)
    assert np.array_equal(np.isinf(found), np.isinf(nearest))
    finite = np.isfinite(nearest)
    unit = np.spacing(np.abs(nearest[finite])).astype(np.float64)
    assert (np.abs(found - exact)[finite] / unit).max() <= MOST_UNITS


@pytest.mark.parametrize(("name", "reference"), FUNCTIONS.items())
def test_what_is_no_number_stays_so(name: str, reference: Callable[[Any], Any]) -> None:
    values = np.tile(np.asarray([np.nan, np.inf, -np.inf, -0.0], np.float32), 4)
    found, expected = values_of(compiled(name, len(values), HOST), values), reference(values)
    np.testing.assert_array_equal(found, expected)
    assert np.array_equal(np.signbit(found[3::4]), np.signbit(expected[3::4])), "the sign of zero"


@pytest.mark.parametrize("target", [HOST, ARM])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_vectors_call_nothing(name: str, target: dict[str, Any]) -> None:
    assert calls(compiled(name, 64, target)) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_number_types_keep_the_c_library(name: str) -> None:
    library = compiled(name, 64, HOST, "float64")
    assert calls(library), "the test above would not see a call"
    values = np.linspace(-3.0, 3.0, 64)
    np.testing.assert_allclose(values_of(library, values), FUNCTIONS[name](values), rtol=1e-14)
