"""PyTorch models at the gate: what a file is without unpickling it, names without importing what has them."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.planning import versions
from sweep.planning.planner import make_plan
from sweep.study.gate import load_cluster, load_study
from sweep.study.importers.pytorch.pt2_archive import pt2_inputs

TENSORS = {
    "p_weight": {"dtype": 7, "sizes": [{"as_int": 4}, {"as_int": 8}]},
    "ids": {"dtype": 5, "sizes": [{"as_expr": {"expr_str": "Symbol('s7', positive=True)"}}, {"as_int": 5}]},
    "x": {"dtype": 7, "sizes": [{"as_int": 1}, {"as_int": 8}]},
}


def program(path: Path, inputs: tuple[str, ...] = ("x",)) -> Path:
    """An archive with the header of an exported program, and nothing else of one."""
    specs = [{"parameter": {"arg": {"name": "p_weight"}}}]
    specs += [{"user_input": {"arg": {"as_tensor": {"name": name}}}} for name in inputs]
    specs.append({"user_input": {"arg": {"as_int": 3}}})
    module = {"graph": {"tensor_values": TENSORS}, "signature": {"input_specs": specs}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", json.dumps({"graph_module": module}))
    return path


def refusal(folder: Path, model: str, more: str = "") -> str:
    (folder / "study.yaml").write_text(f"study: one\nmodels: [{model}]\n{more}")
    with pytest.raises(StudyError) as caught:
        load_study(folder / "study.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_header_has_names_shapes_and_types(tmp_path: Path) -> None:
    ids, x = pt2_inputs(program(tmp_path / "net.pt2", ("ids", "x")))
    assert (ids.name, ids.shape, ids.dtype) == ("ids", ("s7", 5), "int64")
    assert (x.name, x.shape, x.dtype) == ("x", (1, 8), "float32")


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"net/code/__torch__/net.py": b"", "net/constants.pkl": b"\x80\x02)."}, ["TorchScript", "torch.export.save"]),
        ({"net/data.pkl": pickle.dumps(_Runs(), 2)}, ["a pickled module", "module:function"]),
        ({"net/data.pkl": b"\x80\x02ccollections\nOrderedDict\n)R."}, ["state dict", "which loads them"]),
        ({"net/data/aotinductor/model/a.so": b""}, ["AOTInductor", "torch.export.save"]),
    ],
)
def test_other_files_of_torch_are_refused_with_the_way_to_a_program(
    names: dict[str, bytes], said: list[str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    line = refusal(tmp_path, "net.pt")
    assert [part for part in ["models[0]", "net.pt", *said] if part not in line] == []


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        lambda content: content[:-1],
        lambda content: b"\x00" * len(content),
        lambda content: b"PK\x03\x04" + content[:9],
        lambda content: content.replace(b'"sizes"', b'"s1zes"'),  # not what its checksum says
        lambda content: b"hello",
    ],
)
def test_a_damaged_program_is_one_line(damage: object, tmp_path: Path) -> None:
    assert callable(damage)
    path = program(tmp_path / "net.pt2")
    path.write_bytes(damage(path.read_bytes()))
    line = refusal(tmp_path, "net.pt2")
    assert "is damaged, or something else" in line


@pytest.mark.parametrize(
    ("was", "instead"),
    [
        ('"sizes"', '"s1zes"'),
        ('"as_int": 8', '"as_int": "'),
        ('"as_int": 8', '"as_int": []'),
        ('"as_int": 8', '"as_expr": 8'),
        ('"signature"', '"signatur3"'),
        ('{"graph_module": {', '{"graph_module": [], "other": {'),
        ('"name": "x"', '"name": "y"'),
    ],
)
def test_an_archive_with_another_header_is_one_line(was: str, instead: str, tmp_path: Path) -> None:
    path = program(tmp_path / "net.pt2")
    with zipfile.ZipFile(path) as archive:
        header = archive.read("net/models/model.json").decode()
    assert was in header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/models/model.json", header.replace(was, instead))
    assert "is damaged, or something else" in refusal(tmp_path, "net.pt2")


@pytest.mark.parametrize(
    ("model", "more", "said"),
    [
        ("{path: net.pt2, inputs: {y: [1, 8]}}", "", ["inputs.y", "x: [1, 8]"]),
        ("{path: net.pt2, inputs: {x: [1, 9]}}", "", ["inputs.x", "another shape", "x: [1, 8]"]),
        ("net.pt2", "axes: {batch: [1, 4]}\n", ["axes.batch", "4", "made for x: [1, 8] alone"]),
        ("torchvision:resnet19", "", ["no network of torchvision", "resnet18"]),
        ("nets:mak", "", ["is not in nets.py", "did you mean 'make'"]),
        ("nats:make", "", ["there is no module 'nats'", "beside the study"]),
    ],
)
def test_what_a_program_or_a_module_has_not_is_refused(model: str, more: str, said: list[str], tmp_path: Path) -> None:
    program(tmp_path / "net.pt2")
    (tmp_path / "nets.py").write_text("def make(): ...\n")
    line = refusal(tmp_path, model, more)
    assert [part for part in said if part not in line] == []


@pytest.mark.parametrize("model", ["net.pt2", "nets:make", "torchvision:swin_t"])
def test_an_import_that_left_no_onnx_is_done_again_where_it_can(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "net.pt2")
    (tmp_path / "nets.py").write_text("def make(): ...\n")
    (tmp_path / "study.yaml").write_text(f"study: one\nmodels: ['{model}']\nruntimes: [tvm]\ndevices: [sim-0]\n")
    study, cluster = load_study(tmp_path / "study.yaml"), load_cluster(Path("clusters/simulated.yaml"))

    def imported() -> str:
        return next(stage.id for stage in make_plan(study, cluster).stages.values() if stage.kind == "import")

    before, installed = imported(), versions._version
    monkeypatch.setattr(versions, "_version", lambda name: "0" if name == "onnxscript" else installed(name))
    assert imported() != before


def test_a_plan_imports_neither_torch_nor_a_persons_module(tmp_path: Path) -> None:
    program(tmp_path / "net.pt2", ("ids",))
    (tmp_path / "nets.py").write_text("import sys\nsys.exit(7)\ndef make(): ...\n")
    (tmp_path / "study.yaml").write_text(
        "study: one\nmodels: [{path: net.pt2, batch: s7}, 'nets:make', 'torchvision:swin_t']\n"
        "runtimes: [tvm, torch, torch-compile]\ndevices: [sim-0]\n"
    )
    script = (
        "import sys, sweep\n"
        "plan = sweep.plan(sweep.load_study(sys.argv[1]), sweep.load_cluster(sys.argv[2]))\n"
        "print(*(cell.cell.name for cell in plan.cells), sep='\\n')\n"
        "assert not {'torch', 'torchvision', 'tvm', 'nets'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "study.yaml"), "clusters/simulated.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("torch-compile") == 3
    assert [f"loads {name}, which may run code" in done.stderr for name in ("net.pt2", "nets:make")] == [True, True]
