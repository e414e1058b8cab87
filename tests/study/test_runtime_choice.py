"""Which runtimes a study has, which of them is the baseline, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.grid import Grid, LeftOut, cells
from sweep.study.runtimes import RUNTIMES, Runtime
from sweep.study.spec import Cell, Model, Study
from tests.planning import grids
from tests.seams.toy_runtime import TOY
from tests.study.written_lines import line_at

BASE = "study: s\nmodels: [onnx-light:squeezenet]\n"
Read = Callable[[str], Study]


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    with RUNTIMES.registered("toy", TOY):
        yield


@pytest.mark.parametrize(
    ("text", "runtimes", "baseline"),
    [
        ("", ("tvm", "onnxruntime"), "onnxruntime"),
        ("reference: [onnxruntime]", ("tvm", "onnxruntime"), "onnxruntime"),
        ("reference: []", ("tvm",), None),
        ("reference: [toy]", ("tvm", "toy"), "toy"),
        ("reference: [toy, onnxruntime]", ("tvm", "toy", "onnxruntime"), "onnxruntime"),
        ("runtimes: [tvm]", ("tvm",), None),
        ("runtimes: [toy, tvm]", ("toy", "tvm"), "toy"),
        ("runtimes: [tvm, toy, onnxruntime]", ("tvm", "toy", "onnxruntime"), "onnxruntime"),
        ("runtimes: [tvm, toy, onnxruntime]\nbaseline: toy", ("tvm", "toy", "onnxruntime"), "toy"),
        ("runtimes: [toy, onnxruntime]", ("toy", "onnxruntime"), "onnxruntime"),
        ("runtimes: [tvm, onnxruntime]\nbaseline: tvm", ("tvm", "onnxruntime"), "tvm"),
    ],
)
def test_runtimes_and_baseline(text: str, runtimes: tuple[str, ...], baseline: str | None, study_of: Read) -> None:
    study = study_of(BASE + text)
    assert (study.runtimes, study.baseline) == (runtimes, baseline)


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        ("reference: [toy]\nruntimes: [tvm, toy]", "reference", ["runtimes", "one of the two", "[tvm, toy]"]),
        ("runtimes: [tvm, onnxruntim]", "runtimes[1]", ["'onnxruntim'", "did you mean 'onnxruntime'", "toy"]),
        ("runtimes: [tvm, 'no.such:THING']", "runtimes[1]", ["no.such:THING", "PYTHONPATH"]),
        ("runtimes: [tvm, tvm]", "runtimes[1]", ["each runtime once"]),
        ("reference: [toy, toy]", "reference[1]", ["each runtime once"]),
        ("reference: [tvm]", "reference[0]", ["onnxruntime, openvino, ", "toy"]),
        ("runtimes: []", "runtimes", ["runtimes"]),
        ("runtimes: [tvm, toy]\nbaseline: onnxruntime", "baseline", ["none of the study's runtimes", "tvm, toy"]),
        ("baseline: onnxruntme", "baseline", ["did you mean 'onnxruntime'", "tvm, onnxruntime"]),
        ("exclude: [{runtime: toy}]", "exclude[0].runtime", ["tvm, onnxruntime"]),
    ],
)
def test_a_slip_is_one_line(text: str, key: str, told: list[str], study_of: Read) -> None:
    with pytest.raises(StudyError) as caught:
        study_of(BASE + text)
    line = str(caught.value)
    assert f"study.yaml:{line_at(BASE + text, key)}: {key}: " in line
    assert "\n" not in line
    assert [part for part in told if part not in line] == []


def test_both_ways_to_say_it_give_the_same_plan(study_of: Read, cluster_of: Callable[[], Cluster]) -> None:
    plans = [
        make_plan(study_of(BASE + text), cluster_of())
        for text in ("", "reference: [onnxruntime]", "runtimes: [tvm, onnxruntime]\nbaseline: onnxruntime")
    ]
    assert [list(plan.stages) for plan in plans[1:]] == [list(plans[0].stages)] * 2
    assert [plan.cells for plan in plans[1:]] == [plans[0].cells] * 2


def test_without_tvm_nothing_is_compiled_and_no_target_need_fit() -> None:
    misfit = replace(grids.study().targets[0], name="arm", attrs={"kind": "llvm", "mtriple": "aarch64-linux-gnu"})
    study = grids.study(runtimes=("toy", "onnxruntime"), targets=(misfit,))
    plan = make_plan(study, grids.cluster(grids.device("one")))
    assert [planned.cell.runtime for planned in plan.cells] == ["toy", "onnxruntime"]
    assert {stage.kind for stage in plan.stages.values()} == {"import", "measure"}
    assert plan.left_out == []


def test_each_runtime_has_its_cells_and_its_stages() -> None:
    study = grids.study(runtimes=("tvm", "onnxruntime", "toy"), batches=(1, 4), opt_levels=(0, 3))
    plan = make_plan(study, grids.cluster(grids.device("one")))
    of = {name: [planned for planned in plan.cells if planned.cell.runtime == name] for name in study.runtimes}
    assert {name: len(planned) for name, planned in of.items()} == {"tvm": 4, "onnxruntime": 2, "toy": 2}
    assert len({planned.stages[-1] for planned in plan.cells}) == 8
    assert all(len(planned.stages) == 2 for planned in (*of["toy"], *of["onnxruntime"]))


def _refuses(model: Model, device: Device, cell: Cell) -> str | None:
    if device.key == "two":
        return "it is not there"
    if model.name == "b":
        return "it lacks Resize"
    return "it takes one sample" if model.name == "c" and cell.batch > 1 else None


def test_what_a_runtime_refuses_is_told_and_has_rows_without_work() -> None:
    study = grids.study(
        models=tuple(map(grids.model, "abc")), batches=(1, 4), runtimes=("tvm", "picky"), baseline="picky"
    )
    with RUNTIMES.registered("picky", Runtime("picky", "Picky", (), refuses=_refuses)):
        grid = Grid(study, grids.cluster())
        rivals = [cell for cell in grid.cells() if not cell.is_compiled]
        assert len(rivals) == 12
        taken = [cell for cell in rivals if grid.refusals.of(cell) is None]
        assert {(cell.model, cell.batch) for cell in taken} == {("a", 1), ("a", 4), ("c", 1)}
        assert {cell.device for cell in taken} == {"one"}
        assert Grid(study, grids.cluster()).left_out() == [
            LeftOut("picky for b", "one", "it lacks Resize"),
            LeftOut("picky for c at batch 4", "one", "it takes one sample"),
            LeftOut("picky", "two", "it is not there"),
        ]
        pretended = replace(grids.cluster(), engine="simulated")
        assert sum(not cell.is_compiled for cell in cells(study, pretended)) == 12
        without = replace(study, exclude=({"runtime": ("picky",), "model": ("b",)},))
        assert sum(not cell.is_compiled for cell in cells(without, grids.cluster())) == 8


def test_what_could_run_nothing_on_a_device_has_no_rows_there() -> None:
    study = grids.study(models=(grids.model("a"),), runtimes=("tvm", "here"), baseline="here")
    with RUNTIMES.registered("here", Runtime("here", "Here", (), formats=("onnx",))):
        grid = Grid(study, grids.cluster())
        places = {cell.device for cell in grid.cells() if cell.runtime == "here"}
        assert places == {device.key for device in grids.cluster().devices if device.is_this_host}
