"""The onnx package's own tests through the product: how they are counted, and what comes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.onnx_backend.__main__ import summary
from tests.onnx_backend.cases_of_onnx import BackendTest, cases_of
from tests.onnx_backend.recorded import difference
from tests.onnx_backend.trial import Finding, find

EVERY_KIND = {
    "test_bitshift_left_int32_overflow": "right",
    "test_compress_0": "right",
    "test_attention_24_fullymasked_qk_matmul_output_mode3_zero_expanded": "right",
    "test_cumsum_2d_negative_axis": "right",
    "test_nonzero_example": "refused",
}
"""A few node tests, and what becomes of them."""


@pytest.fixture(scope="module")
def node_tests() -> dict[str, BackendTest]:
    operators = ("abs", "attention", "bitshift", "compress", "cumsum", "nonzero", "relu", "tile")
    return {test.name: test for test in cases_of("node", operators)}


@pytest.mark.tvm
@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_node_test(forge: CompilePool, node_tests: dict[str, BackendTest], tmp_path: Path, name: str) -> None:
    finding = find(forge, node_tests[name], (0,), tmp_path / name, "shapes")
    assert (finding.verdict, finding.test.name) == (EVERY_KIND[name], name), finding.words


def test_a_recording_of_no_tensors_is_not_right(
    forge: CompilePool, node_tests: dict[str, BackendTest], tmp_path: Path
) -> None:
    relu = node_tests["test_relu"]

    def write(folder: Path, inputs: str) -> object:
        sizes = relu.write(folder, inputs)
        (folder / "set_0" / "no_tensors").touch()
        return sizes

    test = BackendTest("sequences", relu.operators, False, relu.rtol, relu.atol, write)  # type: ignore[arg-type]
    finding = find(forge, test, (0,), tmp_path / "sequences", "shapes")
    assert finding.verdict == "wrong"
    assert "nothing was recorded as tensors alone" in finding.words


def test_a_wrong_recording_is_seen(forge: CompilePool, node_tests: dict[str, BackendTest], tmp_path: Path) -> None:
    """The same network with the data of another test."""
    right, other = node_tests["test_relu"], node_tests["test_abs"]

    def write(folder: Path, inputs: str) -> object:
        sizes = other.write(folder, inputs)
        right.write(folder / "right", inputs)
        (folder / "right" / "model.onnx").replace(folder / "model.onnx")
        return sizes

    mixed = BackendTest("mixed", right.operators, True, right.rtol, right.atol, write)  # type: ignore[arg-type]
    finding = find(forge, mixed, (0,), tmp_path / "mixed", "shapes")
    assert finding.verdict == "wrong"
    assert "differ" in finding.words


@pytest.mark.parametrize(
    ("found", "right", "words"),
    [
        (np.float32([1, np.nan, np.inf]), np.float32([1, np.nan, np.inf]), None),
        (np.float32([1.0000001]), np.float32([1]), None),
        (np.float32([1.1]), np.float32([1]), "1 of 1 differ"),
        (np.float32([0]), np.float32([np.nan]), "as 0.0 for nan"),
        (np.float32([-np.inf]), np.float32([np.inf]), "as -inf for inf"),
        (np.int64([1]), np.int32([1]), "is int64 (1,) for int32 (1,)"),
        (np.int64([[1]]), np.int64([1]), "is int64 (1, 1) for int64 (1,)"),
        (np.uint8([255]), np.uint8([254]), "1 of 1 differ"),
        (np.array([True]), np.array([False]), "1 of 1 differ"),
    ],
)
def test_outputs_are_compared(found: np.ndarray, right: np.ndarray, words: str | None) -> None:
    said = difference([found], [right], 1e-3, 1e-7)
    assert said is None if words is None else words in str(said)


def test_a_missing_output_is_seen() -> None:
    assert difference([], [np.zeros(1)], 1e-3, 1e-7) == "0 outputs for 1"


def test_refusals_are_counted_by_reason(node_tests: dict[str, BackendTest]) -> None:
    names = ("test_nonzero_example", "test_compress_0", "test_abs")
    words = ["what NonZero (node result) gives depends on data", "what NonZero (node a1) gives depends on data", ""]
    findings = [
        Finding(node_tests[name], "refused" if said else "right", said) for name, said in zip(names, words, strict=True)
    ]
    lines = list(summary(findings, "node", 1.0))
    assert any(line.startswith("     2  what NonZero  gives depends on data") for line in lines)
    assert "node, all: 3 tests in 1 s: 1 right, 0 wrong, 2 refused, 0 unclear, 0 crashed; 33.3 % right" in lines


def test_inputs_that_decide_shapes_are_stored(node_tests: dict[str, BackendTest], tmp_path: Path) -> None:
    import onnx

    kept = {}
    for inputs in ("shapes", "all", "first"):
        node_tests["test_tile"].write(tmp_path / inputs, inputs)
        kept[inputs] = [value.name for value in onnx.load(tmp_path / inputs / "model.onnx").graph.input]
    assert kept == {"shapes": ["x"], "all": ["x", "y"], "first": ["x"]}


LEAST_RIGHT = {"simple": 0.6, "pytorch-converted": 1.0, "pytorch-operator": 1.0, "node": 0.85}
"""Of the tests of fixed shapes."""


@pytest.mark.slow
@pytest.mark.tvm
@pytest.mark.parametrize("kind", LEAST_RIGHT)
def test_a_whole_set(forge: CompilePool, tmp_path: Path, kind: str) -> None:
    findings = [find(forge, test, (0,), tmp_path / test.name, "shapes") for test in cases_of(kind)]
    fixed = [finding for finding in findings if finding.test.has_fixed_shapes]
    assert sum(finding.verdict == "right" for finding in fixed) >= LEAST_RIGHT[kind] * len(fixed)
    counts = Counter(finding.verdict for finding in findings)
    assert (counts["wrong"], counts["unclear"], counts["crashed"]) == (0, 0, 0)
