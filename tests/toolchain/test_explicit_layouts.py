"""A layout that a study names is kept at every level, by networks of each kind, which answer as their own runtimes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toolchain.conftest import QUICK, TARGET, Run, build, import_file, lower
from tests.variants import only

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

KINDS = ("tflite-float", "tflite-integers", "onnx-qdq")
LOADER = "sweep.toolchain.models.tflite.tflite_loader:TfliteLoader"
Lowered = Callable[[str, int, str], tuple[Path, dict[str, Any]]]
LEVELS = only([3], range(5))


def write_qdq(path: Path) -> None:
    """A convolution, one of two groups, and a matrix product between QuantizeLinear and DequantizeLinear."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(7)
    shapes = {"w1": (8, 4, 3, 3), "w2": (8, 4, 3, 3), "w3": (8, 5)}
    stored = {name: draw.integers(-100, 100, shape).astype(np.int8) for name, shape in shapes.items()}
    stored |= {f"{name}_scale": np.float32(0.01) for name in ("w3",)}
    stored |= {f"{name}_scale": np.linspace(0.005, 0.02, 8, dtype=np.float32) for name in ("w1", "w2")}
    stored |= {f"{name}_zero": np.zeros(8 if name != "w3" else (), np.int8) for name in shapes}
    stored |= {"step": np.float32(0.05), "zero": np.int8(0), "b1": draw.standard_normal(8).astype(np.float32)}
    nodes = []

    def quantised(source: str) -> str:
        nodes.append(helper.make_node("QuantizeLinear", [source, "step", "zero"], [f"{source}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{source}_q", "step", "zero"], [f"{source}_d"]))
        return f"{source}_d"

    def weights(name: str) -> str:
        axis = {} if name == "w3" else {"axis": 0}
        nodes.append(
            helper.make_node("DequantizeLinear", [name, f"{name}_scale", f"{name}_zero"], [f"{name}_d"], **axis)
        )
        return f"{name}_d"

    nodes.append(helper.make_node("Conv", [quantised("x"), weights("w1"), "b1"], ["c1"], pads=[1, 1, 1, 1]))
    nodes.append(helper.make_node("Relu", ["c1"], ["r1"]))
    nodes.append(helper.make_node("Conv", [quantised("r1"), weights("w2")], ["c2"], pads=[1, 1, 1, 1], group=2))
    nodes.append(helper.make_node("Add", [quantised("c2"), "r1_d"], ["sum"]))
    nodes.append(helper.make_node("GlobalAveragePool", [quantised("sum")], ["p"]))
    nodes.append(helper.make_node("Flatten", ["p"], ["f"]))
    nodes.append(helper.make_node("MatMul", [quantised("f"), weights("w3")], ["y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])]
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "qdq", inputs, outputs, arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.fixture(scope="module")
def imported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the imports, by kind."""
    from tests.tflite_files import classifier, integer_convolutions

    folder = tmp_path_factory.mktemp("kinds")
    (folder / "tflite-float").write_bytes(classifier())
    (folder / "tflite-integers").write_bytes(integer_convolutions())
    write_qdq(folder / "onnx-qdq")
    for kind in KINDS:
        if kind.startswith("tflite"):
            pytest.importorskip("ai_edge_litert", reason="the extra [tflite] is not installed")
            options = {"inputs": {}, "batch": None, "seed": 0}
            hints = {"path": str(folder / kind), "loader": LOADER}
            run("import_model", options=options, hints=hints, out_dir=str(folder / f"{kind}-import"))
        else:
            import_file(run, folder / kind, folder / f"{kind}-import")
    return {kind: folder / f"{kind}-import" for kind in KINDS}


@pytest.fixture(scope="module")
def lowered(run: Run, imported: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    """Gives the folder and the result for a kind, a level and a layout; each is lowered once."""
    folder = tmp_path_factory.mktemp("lowered")

    @cache
    def of(kind: str, level: int, layout: str) -> tuple[Path, dict[str, Any]]:
        place = folder / f"{kind}{level}{layout}"
        return place, lower(run, imported[kind], place, level, layout=layout, keep_layout=True, target=QUICK)

    return of


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_convolution_has_the_layout_that_is_named(lowered: Lowered, kind: str, level: int) -> None:
    for layout in ("NCHW", "NHWC"):
        facts = lowered(kind, level, layout)[1]["layout"]
        assert list(facts["convolutions"]) == [layout], layout
        assert facts["fallbacks"] == []
    modules = [(lowered(kind, level, layout)[0] / "module.json").read_bytes() for layout in ("NCHW", "NHWC")]
    assert modules[0] != modules[1]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_transposition_is_left_inside_a_quantised_network(lowered: Lowered, kind: str, level: int) -> None:
    """At most one at each end, since inputs and outputs keep their layout."""
    for layout in ("NCHW", "NHWC"):
        _, result = lowered(kind, level, layout)
        assert len(result["layout"]["transpositions"]) <= 2, (layout, result["layout"])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_both_layouts_of_a_network_differ_at_every_level_and_agree_with_its_runtime(
    run: Run, imported: dict[str, Path], lowered: Lowered, tmp_path: Path, kind: str, level: int
) -> None:
    for layout in ("NCHW", "NHWC"):
        build(run, lowered(kind, level, layout)[0], tmp_path / layout, target=QUICK)
        found = run(":run_artifact", artifact_dir=str(tmp_path / layout), import_dir=str(imported[kind]))
        allowed = 1 if kind == "tflite-integers" else 1e-4 * found["greatest"]
        assert found["difference"] <= allowed, layout
        assert found["greatest"] > 0.01


def test_what_falls_back_is_named(run: Run, tmp_path: Path) -> None:
    """Narrow groups of 3x3 windows keep channels second where the level chooses."""
    from tests.toolchain.networks import write_branches

    write_branches(tmp_path / "branches.onnx", window=3)
    import_file(run, tmp_path / "branches.onnx", tmp_path / "import")
    chosen = lower(run, tmp_path / "import", tmp_path / "chosen", 3)["layout"]
    assert set(chosen["convolutions"]) == {"NCHW", "NHWC"}
    assert len(chosen["fallbacks"]) == chosen["convolutions"]["NCHW"]
    assert any("4 groups stays in NCHW" in line for line in chosen["fallbacks"])
    kept = lower(run, tmp_path / "import", tmp_path / "kept", 3, layout="NHWC", keep_layout=True, target=TARGET)
    assert set(kept["layout"]["convolutions"]) == {"NHWC"}
