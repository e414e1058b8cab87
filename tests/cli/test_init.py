"""`sweep init`: two files that a plan takes as they are, with what the network's header tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from sweep.planning.planner import make_plan
from sweep.study.gate import load_cluster, load_study, local_cluster
from sweep.study.grid import cells
from tests.cli.conftest import Sweep
from tests.cli.test_bad_input import assert_one_line


def write_open(path: Path, **inputs: list[Any]) -> Path:
    """A network whose inputs have these shapes."""
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Relu", [next(iter(inputs))], ["y"])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", declared, [output])), str(path))
    return path


def test_with_no_model_it_takes_an_example_and_says_what_to_type_next(here: Path, sweep: Sweep) -> None:
    (here / "study.yaml").unlink()

    said = sweep("init")

    assert (said.code, said.err) == (0, "")
    assert "next:    sweep plan study.yaml " in said.out
    assert "sweep run study.yaml\n" in said.out
    planned = sweep("plan", "study.yaml")
    assert (planned.code, planned.err) == (0, "")
    assert planned.out.startswith("squeezenet: 4 cells")
    assert "data_0: [1, 3, 224, 224]" in (here / "study.yaml").read_text()


def test_its_cluster_file_is_the_device_that_is_taken_without_one(here: Path, sweep: Sweep) -> None:
    assert sweep("init", "tiny.onnx", "--out", "new").code == 0

    study, cluster = load_study(here / "new" / "study.yaml"), load_cluster(here / "new" / "clusters" / "local.yaml")

    assert cluster.devices == local_cluster().devices
    assert [*make_plan(study, cluster).stages] == [*make_plan(study, local_cluster()).stages]
    assert study.models[0].path.samefile(here / "tiny.onnx")
    assert not study.models[0].inputs  # the file fixes them


def test_open_dimensions_get_guesses_that_are_told(here: Path, sweep: Sweep) -> None:
    write_open(here / "open.onnx", image=["batch", 3, "height", None], ids=["batch", "length of text"])

    said = sweep("init", "open.onnx", "--out", "new")

    assert "guessed: image[2] (height) = 224" in said.out
    assert "image[3] (?) = 224" in said.out
    assert 'ids[1] ("length of text") = 128' in said.out
    study = load_study(here / "new" / "study.yaml")
    assert study.models[0].inputs == {"ids": (1, 128), "image": (1, 3, 224, 224)}
    plan = "sweep plan new/study.yaml --cluster new/clusters/local.yaml"
    assert plan in said.out
    assert sweep(*plan.split()[1:]).code == 0


@pytest.mark.parametrize(
    ("shape", "batch", "inputs"),
    [([8, 3, 32, 32], None, {}), (["n", 3, 32, 32], 1, {}), ([4, "t", 40], None, {"in: put": (4, 128, 40)})],
    ids=["a fixed batch", "an open batch alone", "a fixed batch and an open length"],
)
def test_the_leading_dimension_is_the_batch_where_it_is_open(
    shape: list[Any], batch: int | None, inputs: dict[str, tuple[int, ...]], here: Path, sweep: Sweep
) -> None:
    write_open(here / "with space: #1.onnx", **{"in: put": shape})

    assert sweep("init", "with space: #1.onnx", "--out", "new").code == 0

    study = load_study(here / "new" / "study.yaml")
    assert {cell.batch for cell in cells(study, local_cluster())} == {batch}
    assert study.models[0].inputs == inputs


def test_nothing_is_written_over(here: Path, sweep: Sweep) -> None:
    own = (here / "study.yaml").read_text()

    assert_one_line(sweep("init"), ["study.yaml: is there already", "--out DIR"])

    assert (here / "study.yaml").read_text() == own
    assert not (here / "clusters").exists()


def test_a_cluster_file_that_is_there_stays(here: Path, sweep: Sweep) -> None:
    (here / "new" / "clusters").mkdir(parents=True)
    mine = here / "new" / "clusters" / "local.yaml"
    mine.write_text("name: mine\ndevices: [{key: mine}]\n")

    said = sweep("init", "--out", "new")

    assert "new/clusters/local.yaml (was there, and stays as it is)" in said.out
    assert load_cluster(mine).name == "mine"


def test_json(here: Path, sweep: Sweep) -> None:
    said = sweep("init", "tiny.onnx", "--out", "new", "--json")

    assert json.loads(said.out) == {"study": "new/study.yaml", "cluster": "new/clusters/local.yaml", "guesses": []}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("absent.onnx", ["MODEL: does not exist", "absent.onnx"]),
        ("onnx-light:squeezenets", ["MODEL: is not a network", "did you mean 'squeezenet'"]),
        ("half.onnx", ["MODEL: is damaged, or something else (got 'half.onnx')", "an ONNX model"]),
        ("net.caffemodel", ["MODEL: is not a model file"]),
    ],
)
def test_a_bad_model_leaves_nothing(model: str, says: list[str], here: Path, sweep: Sweep, tiny: bytes) -> None:
    (here / "half.onnx").write_bytes(tiny[: len(tiny) // 2])

    assert_one_line(sweep("init", model, "--out", "new"), says)

    assert not (here / "new").exists()


def test_a_folder_that_cannot_be_made(here: Path, sweep: Sweep) -> None:
    assert_one_line(sweep("init", "--out", "tiny.onnx/new"), ["--out: cannot be written"])
