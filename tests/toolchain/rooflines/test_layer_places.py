"""Kernels of a build are told apart by the weights that they hold, so that each layer has its own, at every level."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.toolchain.quantisation.qdq_network import quantised
from sweep.toolchain.rooflines.layer_places import KernelCall, kernel_calls, network_layers, placed_layers
from sweep.toolchain.rooflines.weight_prints import WeightPrint
from tests.toolchain.integers.conftest import HOST, lowered, relax_of
from tests.toolchain.networks import write_branches
from tests.toolchain.quantisation.networks_with_ranges import calibrated, options

WEIGHTS = ("Conv", "Gemm", "MatMul")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of a float network and of the same one quantised."""
    home = tmp_path_factory.mktemp("networks")
    found = {name: home / name for name in ("float32", "int8")}
    for folder in found.values():
        folder.mkdir()
    write_branches(found["float32"] / "model.onnx")
    model, table = calibrated(found["float32"] / "model.onnx")
    onnx.save(quantised(model, table, options("minmax")).model, str(found["int8"] / "model.onnx"))
    return found


@cache
def _calls(folder: Path, level: int) -> list[KernelCall]:
    from sweep.toolchain.lowering import finish
    from sweep.toolchain.tvm_loader import resolve_target

    module = lowered(relax_of(onnx.load(str(folder / "model.onnx"))), level)
    return kernel_calls(finish(module, level, resolve_target(HOST))[0])


def _by_layer(places: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {place["layer"]: place for place in places}


@pytest.mark.tvm
@pytest.mark.parametrize(
    ("precision", "level"),
    [("float32", 3), *(pytest.param("int8", level, marks=pytest.mark.slow) for level in (0, 3))],
)
def test_each_layer_with_weights_has_a_kernel_of_its_own(folders: dict[str, Path], precision: str, level: int) -> None:
    calls = _calls(folders[precision], level)
    places = placed_layers(network_layers(folders[precision]), calls)
    heavy = [place for place in places if place["operator"] in WEIGHTS]
    assert len(heavy) == 10
    assert all(place["kernels"] for place in heavy), places
    holders = [call for call in calls if call.holds]
    assert len(holders) == len(heavy), "no two layers with weights share a kernel, and none has two"
    for place in heavy:
        assert any(part in place["kernels"][0] for part in ("conv2d", "matmul", "dot")), place


@pytest.mark.tvm
def test_an_addition_that_is_fused_shares_its_kernel(folders: dict[str, Path]) -> None:
    places = _by_layer(placed_layers(network_layers(folders["float32"]), _calls(folders["float32"], 3)))
    addition = places["Add_18"]
    (before,) = addition["shares_with"]
    assert places[before]["kernels"] == addition["kernels"]
    assert places[before]["shares_with"] == ["Add_18"]
    assert not places["Concat_26"]["kernels"], "it is written in place, by no kernel of its own"


@pytest.mark.tvm
def test_convolutions_that_a_level_combines_share_one_kernel(folders: dict[str, Path]) -> None:
    places = _by_layer(placed_layers(network_layers(folders["float32"]), _calls(folders["float32"], 4)))
    assert places["Conv_10"]["shares_with"] == ["Conv_12"]
    assert places["Conv_10"]["kernels"] == places["Conv_12"]["kernels"] != []


@pytest.mark.tvm
@pytest.mark.slow
def test_what_rounds_behind_an_unfused_layer_is_the_layer_s(folders: dict[str, Path]) -> None:
    places = _by_layer(placed_layers(network_layers(folders["int8"]), _calls(folders["int8"], 0)))
    kernels = places["Conv_0"]["kernels"]
    assert kernels[0].startswith("conv2d")
    assert any("round" in kernel for kernel in kernels[1:]), kernels


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 4))
def test_a_print_survives_order_padding_and_rounding(seed: int, rows: int, padding: int) -> None:
    draw = np.random.default_rng(seed)
    weights = draw.standard_normal((rows, 3, 5)).astype(np.float32)
    packed = np.pad(weights.transpose(2, 0, 1), [(0, padding), (0, 0), (0, 0)])
    same, other = WeightPrint.of(packed * np.float32(1 + 1e-6)), draw.standard_normal(weights.shape).astype(np.float32)
    assert WeightPrint.of(weights).distance(same) is not None
    assert WeightPrint.of(weights).distance(WeightPrint.of(other)) is None


def test_codes_are_the_same_or_others() -> None:
    codes = np.arange(-5, 6, dtype=np.int8)
    assert WeightPrint.of(codes).distance(WeightPrint.of(codes[::-1].astype(np.int16))) == 0
    changed = codes.copy()
    changed[0] += 1
    assert WeightPrint.of(codes).distance(WeightPrint.of(changed)) is None
