"""`sweep inspect`: what a person learns of a model, and what a program reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.cli.conftest import Sweep
from tests.cli.test_bad_input import assert_one_line
from tests.inspection.graphs import network


def _convolution(path: Path, **shapes: list) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Foreign", ["c"], ["f"], domain="com.example"),
        helper.make_node("Shrink", ["c"], ["y"]),
    ]
    weight = np.zeros((2, 3, 3, 3), "float32")
    weight[0] = 1
    onnx.save(network(nodes, shapes or {"x": ["n", 3, 8, 8]}, {"w": weight}), str(path))


def test_it_tells_what_a_network_is_and_costs(here: Path, sweep: Sweep) -> None:
    _convolution(here / "net.onnx")

    said = sweep("inspect", "net.onnx")

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("net.onnx: onnx, opset ai.onnx 17, com.microsoft 1, com.example 1, made by tests\n")
    assert "input      x [1, 3, 8, 8] float32" in said.out
    assert "parameters 54, of which 50.0% of the weights are zero" in said.out
    assert "MACs       3,456 (1,728 without zero weights)" in said.out
    assert "the importer onnx lacks: com.example.Foreign\n" in said.out
    assert "onnxruntime lacks: com.example.Foreign\n" in said.out


def test_a_program_reads_the_same(here: Path, sweep: Sweep) -> None:
    _convolution(here / "net.onnx")

    told = json.loads(sweep("inspect", "net.onnx", "--input", "x=2,3,8,8", "--json").out)

    assert told["inputs"] == [{"name": "x", "shape": [2, 3, 8, 8], "dtype": "float32", "open_dimensions": []}]
    assert (told["macs_dense"], told["macs_sparse"], told["flops_dense"]) == (6912, 3456, 13824)
    assert (told["parameters"], told["nnz"], told["sparsity"]) == (54, 27, 0.5)
    assert told["operators"] == {"Conv": 1, "Shrink": 1, "com.example.Foreign": 1}
    assert told["lacking"] == {"onnx": ["com.example.Foreign"], "onnxruntime": ["com.example.Foreign"]}
    assert [layer["name"] for layer in told["layers"]] == ["stem"]


def test_an_open_shape_is_a_note_and_no_number(here: Path, sweep: Sweep) -> None:
    _convolution(here / "open.onnx", x=["n", 3, "h", 8])

    told = json.loads(sweep("inspect", "open.onnx", "--json").out)

    assert told["inputs"][0]["open_dimensions"] == [2]
    assert (told["macs_dense"], told["peak_activation_bytes"]) == (0, None)
    assert "stem" in told["notes"][0]
    assert "--input" in told["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.onnx"], ["MODEL: does not exist", "missing.onnx"]),
        (["study.yaml"], ["MODEL: is not a model file", "study.yaml"]),
        (["tiny.onnx", "--input", "z=1,2"], ["--input: is no input of the network"]),
        (["tiny.onnx", "--input", "wrong"], ["--input: 'wrong'"]),
        (["tiny.onnx", "--coverage"], ["a model, or --coverage alone"]),
        ([], ["a model, or --coverage alone"]),
    ],
)
def test_a_slip_is_one_line(here: Path, sweep: Sweep, arguments: list[str], says: list[str]) -> None:
    assert_one_line(sweep("inspect", *arguments), says)


@pytest.mark.parametrize("content", [b"\0" * 64, b"no model at all", b"\x08\x08\x12"])
def test_a_file_of_something_else_is_one_line(here: Path, sweep: Sweep, content: bytes) -> None:
    (here / "bad.onnx").write_bytes(content)

    assert_one_line(sweep("inspect", "bad.onnx"), ["bad.onnx"])


def test_a_name_that_is_no_text_is_one_line(here: Path, sweep: Sweep) -> None:
    _convolution(here / "net.onnx")
    (here / "net.onnx").write_bytes((here / "net.onnx").read_bytes().replace(b"stem", b"st\x80m"))

    assert_one_line(sweep("inspect", "net.onnx"), ["net.onnx", "a name in it is no text"])


def test_the_table_of_operators_is_made_from_the_code(sweep: Sweep) -> None:
    from sweep.toolchain.models.rewriting.rewrite import rules

    told = json.loads(sweep("inspect", "--coverage", "--json").out)

    support = {row["operator"]: row["onnx"] for row in told["onnx"]["operators"]}
    assert support["Conv"] == "converted"
    assert support["LSTM"] == "rewritten"
    ours = {name for name, how in support.items() if "rewritten" in how}
    assert ours >= rules().keys() & support.keys()
    assert sum(told["onnx"]["counts"].values()) == len(support)


def test_tvm_is_not_loaded() -> None:
    code = (
        "import sys, sweep; sweep.inspect('onnx-light:squeezenet').to_json()\n"
        "print([name for name in ('tvm', 'ray', 'mlflow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
