"""Whole TFLite networks: imported as a study does it, compiled, and compared as a measurement does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.devices.measuring.output_check import check_outputs
from sweep.devices.runtimes.artifact import load_expected_output, load_output_facts
from sweep.errors import ImportFailed, OutputMismatch
from sweep.files.npz import load_arrays
from sweep.toolchain.models.tflite import litert_answer
from sweep.toolchain.models.tflite.rewriting import kept_state
from tests import tflite_files
from tests.tflite_networks import Network, Quantised
from tests.toolchain.models.tflite.conftest import compiled, drawn, litert, read

LOADER = "sweep.toolchain.models.tflite.tflite_loader:TfliteLoader"


def imported(path: Path, content: bytes, **options: Any) -> tuple[Path, dict[str, Any]]:
    """The folder of an import, and what it tells."""
    from sweep.toolchain.models.network_import import import_network
    from sweep.toolchain.tvm_loader import load_tvm

    load_tvm()
    path.with_suffix(".tflite").write_bytes(content)
    path.mkdir()
    hints = {"path": str(path.with_suffix(".tflite")), "loader": LOADER}
    return path, import_network({"seed": 0, **options}, hints, path)


FILES: dict[str, Callable[[], bytes]] = {
    "float32": tflite_files.classifier,
    "float16 weights": lambda: tflite_files.classifier("float16"),
    "int8 weights": lambda: tflite_files.classifier("int8"),
    "int8": tflite_files.quantised,
    "uint8": lambda: tflite_files.quantised("uint8"),
    "sparse": lambda: tflite_files.sparse("float32"),
    "sparse, float16": lambda: tflite_files.sparse("float16"),
    "sparse, in blocks": lambda: tflite_files.sparse("float32", blocks=True),
    "tensors of one name": tflite_files.same_names,
    "state": tflite_files.streaming,
    "MediaPipe's transposed convolution": lambda: tflite_files.transposed_with_bias(1),
    "the same without padding": lambda: tflite_files.transposed_with_bias(2),
    "sizes that are computed": tflite_files.framed,
}


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        *((kind, 0) for kind in FILES),
        *(pytest.param(kind, 3, marks=pytest.mark.slow) for kind in ("float32", "int8 weights", "int8")),
    ],
)
def test_it_gives_what_litert_gives(tmp_path: Path, kind: str, level: int) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    folder, result = imported(tmp_path / "net", FILES[kind]())
    assert result["reference_error"] is None
    inputs, expected = list(load_arrays(folder / "inputs.npz").values()), load_expected_output(folder)
    module = read(tmp_path / "net.tflite").relax()
    assert expected is not None
    check_outputs(compiled(module, inputs, level), expected, 1e-4, load_output_facts(folder))
    theirs = litert(folder / "model.tflite", inputs)
    check_outputs(theirs, expected, 1e-4, load_output_facts(folder, of_runtime=True))


def test_weights_of_integers_are_compared_as_floats(tmp_path: Path) -> None:
    """LiteRT rounds activations as it runs, in 8 bits: nothing that computes in floats is to be judged by that."""
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    folder, result = imported(tmp_path / "net", tflite_files.classifier("int8"))
    (about,) = json.loads((folder / "outputs.json").read_text())
    assert 1e-3 < about["runtime_tolerance"] < 0.2
    expected, inputs = load_expected_output(folder), list(load_arrays(folder / "inputs.npz").values())
    assert expected is not None
    with pytest.raises(OutputMismatch, match="max absolute difference"):
        check_outputs(litert(folder / "model.tflite", inputs), expected, 1e-4, load_output_facts(folder))
    assert result["outputs"][0]["runtime_tolerance"] == about["runtime_tolerance"]


def test_scale_and_zero_point_stay_visible(tmp_path: Path) -> None:
    folder, result = imported(tmp_path / "net", tflite_files.quantised("uint8"))
    about = result["inputs"]["pixels as uint8"]
    assert (about["dtype"], about["zero_point"], round(about["scale"], 6)) == ("uint8", 133, 0.02)
    scores, numbers = result["outputs"]
    assert (scores["dtype"], scores["zero_point"], round(scores["scale"], 6)) == ("int8", -9, 0.11)
    assert round(numbers["step"], 6) == 0.11
    assert "scale" not in numbers
    drawn_inputs = load_arrays(folder / "inputs.npz")["pixels as uint8"]
    assert drawn_inputs.max() > 8, "an input that is quantised may hold all that its type does"
    facts = load_output_facts(folder)
    assert (facts.quantised, facts.allowances[1].step) == (frozenset({0}), numbers["step"])


def test_another_batch_has_the_shapes_that_litert_gives_it(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    _, result = imported(tmp_path / "net", tflite_files.classifier(), batch=4)
    assert (result["inputs"]["image"]["shape"], result["outputs"][0]["shape"]) == ([4, 8, 8, 3], [4, 5])
    data = drawn((4, 8, 8, 3), "float32")
    network = read(tmp_path / "net.tflite", batch=4)
    np.testing.assert_allclose(
        compiled(network.relax(), [data])[0], litert(tmp_path / "net.tflite", [data])[0], rtol=1e-4, atol=1e-4
    )


def test_what_decides_a_shape_or_a_place_is_no_input(tmp_path: Path) -> None:
    """The file has no content for it, which is no constant of zeros."""
    with pytest.raises(ImportFailed, match="operator 0 SLICE: takes as a constant what the network computes"):
        imported(tmp_path / "net", tflite_files.cut_where_told())


def test_without_litert_nothing_is_compared_and_the_mend_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_answer.importlib.util, "find_spec", lambda name: None)
    folder, result = imported(tmp_path / "net", tflite_files.classifier())
    assert result["reference"] is False
    assert result["reference_error"] == "LiteRT is not installed: pip install 'tvm-sweep[tflite]'"
    assert not (folder / "reference.npz").exists()
    with pytest.raises(ImportFailed, match=r"another shape.*pip install"):
        read(tmp_path / "net.tflite", batch=4)
    with pytest.raises(ImportFailed, match=r"the sizes that the network computes cannot be had: .*pip install"):
        imported(tmp_path / "framed", tflite_files.framed())


def test_state_is_given_and_returned_and_begins_as_the_file_has_it(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    folder, result = imported(tmp_path / "net", tflite_files.streaming())
    assert list(result["inputs"]) == ["data", "ring", "total"]
    assert [output["shape"] for output in result["outputs"]] == [[1, 3], [1, 2, 3], [1, 3]]
    assert result["rewriting"] == {"steps": ["state"], "inputs": 3, "max_abs_diff": 0.0, "not_compared": None}
    given = load_arrays(folder / "inputs.npz")
    np.testing.assert_array_equal(given["ring"], np.ones((1, 2, 3)))
    np.testing.assert_array_equal(given["total"], [[1, 2, 3]])
    first = litert(tmp_path / "net.tflite", [given["data"]])  # the file as it is, at its first call
    np.testing.assert_array_equal(load_arrays(folder / "reference.npz")["output_0"], first[0])
    batched = read(tmp_path / "net.tflite", batch=3)
    assert [list(tensor.shape) for tensor in batched.inputs] == [[3, 2, 3], [3, 2, 3], [3, 3]]


def test_each_call_to_the_file_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    asked, calls = litert_answer._asked, list[tuple[bool, int]]()

    def counted(orders: Mapping[str, Any]) -> Any:
        calls.append((Path(orders["model"]) == tmp_path / "net.tflite", len(orders["inputs"])))
        return asked(orders)

    monkeypatch.setattr(litert_answer, "_asked", counted)
    (tmp_path / "net.tflite").write_bytes(tflite_files.streaming())
    read(tmp_path / "net.tflite")
    assert calls == [(True, 3), (False, 1), (False, 1), (False, 1)]


def test_another_state_than_the_file_keeps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    whole = kept_state.without_state

    def wrong(parts: Any) -> Any:
        states = whole(parts)
        parts.outputs[-2] = parts.inputs[-2]  # the frames would stay as they are
        return states

    monkeypatch.setattr("sweep.toolchain.models.tflite.rewriting.rewritten_file.without_state", wrong)
    (tmp_path / "net.tflite").write_bytes(tflite_files.streaming())
    with pytest.raises(ImportFailed, match="at call 2 an output differs by"):
        read(tmp_path / "net.tflite")


def test_a_process_of_litert_that_dies_leaves_the_import_alone(tmp_path: Path) -> None:
    """LiteRT ends its process where a kernel finds something amiss: here there is no such operator."""
    pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
    (tmp_path / "net.tflite").write_bytes(tflite_files.not_supported())
    with pytest.raises(ImportFailed, match=r"LiteRT.*"):
        litert_answer.litert_outputs(tmp_path / "net.tflite", {"data": drawn((1, 4), "float32")})


def test_all_that_cannot_be_imported_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_files.not_supported())
    with pytest.raises(ImportFailed) as refused:
        read(tmp_path / "net.tflite")
    assert str(refused.value) == (
        "the network has operators of its maker's own (MakersOwnOperator) and operators that TVM's importer does not "
        "have (SKIP_GRAM)"
    )


def test_a_damaged_file_is_refused_in_the_compiler_too(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_files.classifier()[:-300])
    with pytest.raises(ImportFailed, match="no TFLite file, or a damaged one"):
        read(tmp_path / "net.tflite")


def test_a_tensor_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    network = Network()
    data, result = network.tensor("data", (1 << 20, 1 << 19)), network.tensor("result", (1 << 20, 1 << 19))
    network.operator("ABS", [data], [result])
    (tmp_path / "net.tflite").write_bytes(network.written([data], [result]))
    with pytest.raises(ImportFailed, match="1048576 x 524288 values: more than"):
        read(tmp_path / "net.tflite")


def test_an_operator_that_fails_is_named(tmp_path: Path) -> None:
    network = Network()
    data, result = network.tensor("data", (1, 4), "int8", Quantised(0.1)), network.tensor("result", (1, 4), "string")
    network.operator("CONV_2D", [data], [result])
    (tmp_path / "net.tflite").write_bytes(network.written([data], [result]))
    with pytest.raises(ImportFailed, match="operator 0 CONV_2D"):
        read(tmp_path / "net.tflite")
