"""The outline of a TFLite file, read from its bytes: of whole files, and of files that are damaged in every way."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import StudyError
from sweep.study.gate import load_study
from sweep.study.importers.importer import ModelInput
from sweep.study.importers.tflite import flatbuffer_scan
from sweep.study.importers.tflite.tflite_outline import read_outline
from sweep.study.model_file import read_model
from tests.tflite_files import classifier, quantised
from tests.tflite_networks import Network, Quantised, Repeated, Table, ints, written
from tests.tflite_operators import joined


def two_inputs() -> bytes:
    network = Network()
    image = network.tensor("image", (1, 8, 8, 3), field_7=ints(-1, 8, 8, 3))
    ids = network.tensor("ids", (1, 4), "uint8", Quantised(0.5, 128))
    output = network.tensor("sum", (1, 8, 8, 3))
    network.operator("ADD", [image, network.constant([1.0, 2.0, 3.0], "float32")], [output], ("AddOptions", {}))
    return network.written([image, ids], [output])


def written_to(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_inputs_with_what_the_file_leaves_open(tmp_path: Path) -> None:
    outline = read_outline(written_to(tmp_path / "net.tflite", two_inputs()))
    assert outline.model_inputs() == [
        ModelInput("image", ("?", 8, 8, 3), "float32"),
        ModelInput("ids", (1, 4), "uint8"),
    ]
    ids = outline.graphs[0].tensors[1]
    assert (ids.scales, ids.zero_points) == ((0.5,), (128,))


def test_each_tensor_has_a_name_of_its_own(tmp_path: Path) -> None:
    network = Network()
    first = network.tensor("x", (2,))
    second = network.tensor("x", (2,))
    third = network.tensor("", (2,))
    network.operator("ADD", [first, second], [third], ("AddOptions", {}))
    outline = read_outline(written_to(tmp_path / "net.tflite", network.written([first, second], [third])))
    assert outline.graphs[0].unique_names() == ["x", "x.1", "tensor.2"]


def test_reading_imports_nothing_heavy() -> None:
    code = (
        "import sys, sweep.study.importers.tflite.tflite_importer; "
        "print({'tflite', 'flatbuffers', 'numpy', 'tvm', 'ai_edge_litert'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def _graph(**changed: object) -> bytes:
    """A network of one operator, with some of its tables changed."""
    network = Network()
    data = network.tensor("data", (1, 4))
    result = network.tensor("result", (1, 4))
    network.operator("ABS", [data], [result])
    graph = network.graph([data], [result]) | {int(key[1:]): value for key, value in changed.items() if key[0] == "g"}
    network.tensors[0] |= {int(key[1:]): value for key, value in changed.items() if key[0] == "t"}
    network.operators[0] |= {int(key[1:]): value for key, value in changed.items() if key[0] == "o"}
    model: Table = {0: 3, 1: network.codes, 2: [graph], 4: network.buffers}
    return written(model | {int(key[1:]): value for key, value in changed.items() if key[0] == "m"})


def _circle() -> bytes:
    network = Network()
    one, other = network.tensor("one", (4,)), network.tensor("other", (4,))
    network.operator("ABS", [other], [one])
    network.operator("NEG", [one], [other])
    return network.written([], [other])


WHOLE = two_inputs()
DAMAGED = {
    "cut in the middle": WHOLE[: len(WHOLE) // 2],
    "cut by 40 bytes": WHOLE[:-40],
    "zero bytes": bytes(4096),
    "random bytes": random.Random(0).randbytes(4096),
    "random bytes behind the identifier": WHOLE[:8] + random.Random(0).randbytes(4096),
    "no identifier": WHOLE[:4] + b"TFL2" + WHOLE[8:],
    "eight bytes": WHOLE[:8],
    "one byte": b"\x00",
    "text": b"import torch\n" * 40,
    "a root beyond the end": b"\xff\xff\xff\x7f" + WHOLE[4:],
    "huge dimensions": _graph(t0=ints(1 << 30, 1 << 30, 64)),
    "a negative dimension": _graph(t0=ints(-5, 4)),
    "forty dimensions": _graph(t0=ints(*[1] * 40)),
    "an input that is not there": _graph(g1=ints(99)),
    "an output that is not there": _graph(g2=ints(-2)),
    "an output that nothing makes": _graph(o2=ints(0)),
    "an operand that is not there": _graph(o1=ints(7)),
    "an operator without a code": _graph(o0=12),
    "a buffer that is not there": _graph(t2=77),
    "a content of another size": _graph(t2=1, m4=[{}, {0: b"123"}]),
    "a content behind the end": _graph(t2=1, m4=[{}, {1: 1 << 20, 2: 1 << 20}]),
    "no graph": _graph(m2=[]),
    "a quantisation of another size": _graph(t4={2: ints(1, 2, 3).view("float32"), 3: ints(), 6: 1}),
    "a circle": _circle(),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_file_is_one_line_of_the_plan(tmp_path: Path, how: str) -> None:
    written_to(tmp_path / "net.tflite", DAMAGED[how])
    (tmp_path / "study.yaml").write_text("study: damaged\nmodels: [net.tflite]\n")
    with pytest.raises(StudyError, match=r"models\[0\]: is damaged, or something else .*net.tflite") as refused:
        load_study(tmp_path / "study.yaml")
    assert "\n" not in str(refused.value)


def test_offsets_to_the_same_place_keep_nobody_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of 5,000 tensors, 5,000 times: 40 kB. The limit is lowered, for the test to take a tenth of its time."""
    monkeypatch.setattr(flatbuffer_scan, "_MOST_TABLES", 40_000)
    graph: Table = {0: Repeated({0: ints(1), 3: "t", 5: True}, 5_000), 1: ints(), 2: ints(0)}
    content = written({0: 3, 1: [], 2: Repeated(graph, 5_000), 4: [{}]})
    assert len(content) < 50_000
    with pytest.raises(ValueError, match="again and again"):
        read_outline(written_to(tmp_path / "net.tflite", content))


def test_any_changed_byte_is_read_or_refused(tmp_path: Path) -> None:
    """Nothing but a ValueError, and in a time that is in proportion."""
    content, _ = joined()
    draw = random.Random(3)
    path = tmp_path / "net.tflite"
    outcomes = set()
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(draw.choice((1, 2, 20))):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        try:
            read_outline(written_to(path, bytes(changed)))
            outcomes.add("read")
        except ValueError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ("{picture: [1, 8, 8, 3]}", "is no input of the network"),
        ("{image: [8, 8, 3]}", "has the wrong number of dimensions: the network's input has 4"),
    ],
)
def test_inputs_of_a_study_are_held_against_the_header(tmp_path: Path, inputs: str, line: str) -> None:
    written_to(tmp_path / "net.tflite", WHOLE)
    (tmp_path / "study.yaml").write_text(f"study: wrong\nmodels: [{{path: net.tflite, inputs: {inputs}}}]\n")
    with pytest.raises(StudyError, match=line):
        load_study(tmp_path / "study.yaml")


def test_a_study_of_tflite_models_compares_with_litert(tmp_path: Path) -> None:
    written_to(tmp_path / "net.tflite", WHOLE)
    (tmp_path / "study.yaml").write_text("study: usual\nmodels: [net.tflite]\n")
    study = load_study(tmp_path / "study.yaml")
    assert (study.runtimes, study.baseline) == (("tvm", "litert"), "litert")
    (tmp_path / "study.yaml").write_text("study: asked\nmodels: [net.tflite]\nruntimes: [tvm, onnxruntime]\n")
    assert load_study(tmp_path / "study.yaml").runtimes == ("tvm", "onnxruntime")
    (tmp_path / "study.yaml").write_text("study: both\nmodels: [net.tflite, onnx-light:squeezenet]\n")
    study = load_study(tmp_path / "study.yaml")
    assert (study.runtimes, study.baseline) == (("tvm", "litert", "onnxruntime"), "onnxruntime")


@pytest.mark.parametrize(
    ("content", "options"),
    [(quantised, {"quantised": "integers"}), (classifier, {}), (lambda: classifier("int8"), {})],
    ids=["codes", "floats", "weights alone"],
)
def test_a_network_of_codes_has_an_option_that_says_so(tmp_path: Path, content: Any, options: dict[str, str]) -> None:
    (tmp_path / "net.tflite").write_bytes(content())
    assert read_model("net.tflite", tmp_path / "s.yaml", "models[0]").options == options
