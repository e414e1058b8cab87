"""Runtimes by name: shipped, registered, by entry point, by place; and what people call them."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

import sweep
from sweep.errors import StudyError
from sweep.planning.kinds import kind_of
from sweep.planning.stages.measure import work_of
from sweep.planning.versions import versions_of
from sweep.study.runtimes import RUNTIMES, Runtime, only_on_this_host, runtime_of, title_of
from sweep.study.spec import TVM, Cell, is_compiled
from tests.devices.parts import make_device
from tests.parsed import trees
from tests.seams.toy_runtime import TOY

PLACE = "tests.seams.toy_runtime:TOY"


def test_the_shipped_ones() -> None:
    assert RUNTIMES.names()[:2] == ("tvm", "onnxruntime")
    assert [runtime_of(name).name for name in ("tvm", "onnxruntime")] == ["tvm", "onnxruntime"]
    assert [runtime_of(name).is_compiled for name in ("tvm", "onnxruntime")] == [True, False]
    assert [is_compiled(name) for name in (TVM, "onnxruntime", PLACE)] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "long", "short"),
    [
        ("tvm", "TVM", "TVM"),
        ("onnxruntime", "ONNX Runtime", "ORT"),
        (PLACE, "ONNX reference", "ref"),
        ("gone-since", "gone-since", "gone-since"),
        ("no.such:PLACE", "no.such:PLACE", "no.such:PLACE"),
    ],
)
def test_titles(name: str, long: str, short: str) -> None:
    assert (title_of(name), title_of(name, short=True)) == (long, short)


def test_found_by_place_and_by_registration() -> None:
    assert runtime_of(PLACE) is TOY
    with RUNTIMES.registered("toy", TOY):
        assert runtime_of("toy") is TOY
    with pytest.raises(StudyError, match="'toy'"):
        runtime_of("toy")


def test_what_opens_no_form_that_an_import_leaves_refuses_the_model() -> None:
    here, opens = make_device("here"), Runtime("x", "X", (), formats=("onnx", "tflite"))
    onnx, other = (SimpleNamespace(importer="own", formats=formats) for formats in (("onnx",), ("pt2", "own")))
    cell = Cell("net", "-", "-", None, "NCHW", "float32", 1, "here", "x")
    assert opens.refusal(onnx, here, cell) is None  # type: ignore[arg-type]
    assert opens.refusal(other, here, cell) == "it opens onnx or tflite; the importer own leaves pt2 and own"  # type: ignore[arg-type]


def test_a_cell_of_a_runtime_that_chooses_its_precision_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "study: s\nmodels: [onnx-light:squeezenet]\ndevices: [sim-0]\nruntimes: [openvino, openvino-default]\n"
    )
    plan = sweep.plan(sweep.load_study(tmp_path / "s.yaml"), sweep.load_cluster("clusters/simulated.yaml"))
    assert {planned.cell.runtime: planned.cell.precision for planned in plan.cells} == {
        "openvino": "float32",
        "openvino-default": "own",
    }
    thresholds = {
        stage.options["runtime"]: stage.options["threshold"]
        for stage in plan.stages.values()
        if stage.kind == "measure"
    }
    assert thresholds == {"openvino": 1e-3, "openvino-default": 5e-2}


def test_found_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "onnx-reference", PLACE)
    monkeypatch.syspath_prepend(tmp_path)
    assert runtime_of("onnx-reference") is TOY
    assert "onnx-reference" in RUNTIMES.names()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("onnxruntim", ["'onnxruntim'", "onnxruntime'?", "tvm, onnxruntime"]),
        ("no.such:PLACE", ["ModuleNotFoundError", "no.such:PLACE", "PYTHONPATH"]),
        ("tests.seams.toy_runtime:NOTHING", ["AttributeError", "NOTHING"]),
        ("tests.seams.toy_runtime:NO_RUNTIME", ["no runtime but str"]),
    ],
)
def test_what_is_none_is_told_in_a_line(name: str, told: list[str]) -> None:
    with pytest.raises(StudyError) as caught:
        runtime_of(name, "runtimes[1]")
    line = str(caught.value)
    assert line.startswith("runtimes[1]: ")
    assert "\n" not in line
    assert [text for text in told if text not in line] == []


def test_runtimes_of_this_host_refuse_other_devices() -> None:
    here, elsewhere = make_device("here"), make_device("there", (), threads=4, managed=False)
    reasons = [only_on_this_host(None, device, None) for device in (here, elsewhere)]  # type: ignore[arg-type]
    assert reasons == [None, "it runs on this host, the device is elsewhere"]
    assert runtime_of("tvm").refuses(None, elsewhere, None) is None  # type: ignore[arg-type]


def test_versions_are_those_of_the_runtime() -> None:
    assert set(versions_of(kind_of("measure"), *work_of("tvm"))) == {"recipe", "apache-tvm", "apache-tvm-ffi"}
    assert set(versions_of(kind_of("measure"), *work_of("onnxruntime"))) == {"recipe", "onnxruntime"}
    assert set(versions_of(kind_of("build"))) == {"recipe", "apache-tvm", "apache-tvm-ffi"}


def test_changed_code_of_no_installed_package_is_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from tests.seams.toy_runtime import TOY\n"
    (tmp_path / "runtime_of_a_test.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    before = versions_of(kind_of("measure"), *work_of("runtime_of_a_test:TOY"))
    assert set(before) == {"recipe", "onnx", "source"}
    (tmp_path / "runtime_of_a_test.py").write_text(source + "# changed\n")
    assert versions_of(kind_of("measure"), *work_of("runtime_of_a_test:TOY")) != before


def test_describing_one_imports_no_library() -> None:
    code = (
        "import sys; from sweep.study.runtimes import runtime_of\n"
        "titles = [runtime_of(name).title for name in ('tvm', 'onnxruntime')]\n"
        "print([name for name in ('tvm', 'onnxruntime', 'numpy', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_short_title_is_the_title_where_there_is_none() -> None:
    assert Runtime("x", "Xylophone", ()).short_title == "Xylophone"


def installed(folder: Path, name: str, place: str) -> None:
    """Metadata of an installed package that names a runtime."""
    about = folder / "toy_runtime-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-runtime\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[sweep.runtimes]\n{name} = {place}\n")


@cache
def constants() -> list[tuple[str, object]]:
    """Modules of the package and the constants in each."""
    return [
        (module, node.value)
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
    ]


@pytest.mark.parametrize(
    ("word", "homes"),
    [
        ("tvm", {"study/cell.py", "study/study_form.py"}),
        ("onnxruntime", {"study/runtimes.py", "study/study_form.py", "devices/runtimes/onnxruntime.py"}),
        ("ONNX Runtime", {"devices/runtimes/onnxruntime.py"}),
    ],
)
def test_no_runtime_is_named_but_where_it_is_described(word: str, homes: set[str]) -> None:
    """A third one would be forgotten at each such place. Packages of this name are another matter, listed here."""
    packages = {"doctor", "toolchain", "api/session/claim.py", "devices/measuring/sentinel_kernel.py"}
    packages |= {"engine/ray/node_probe.py", "api/session/engine_session.py", "inspection"}
    packages |= {"devices/farm/tracker_server.py"}
    packages |= {"planning/draft.py"}  # what calibrates and quantises
    packages |= {"api/inspecting/operator_tables.py"}  # what each has of operators
    named = {module for module, value in constants() if value == word}
    assert {name for name in named if not {name, name.partition("/")[0]} & packages} == homes
