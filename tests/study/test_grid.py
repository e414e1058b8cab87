"""Which cells a study has on a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import Grid, cells
from sweep.study.spec import Cell, Study

BASE = "study: s\nmodels: [onnx-light:squeezenet, onnx-light:resnet50]\ntuners: [none, xgb]\nopt_levels: [1, 3]\n"
TWO = "name: c\ndevices: [{key: a}, {key: b, target: llvm -mcpu=nehalem}]\n"
WITH_BOARD = "name: c\ndevices: [{key: a}, {key: pi, managed: false, target: arm/rasp4b64}]\n"


@pytest.fixture
def grid_of(study_of: Callable[[str], Study], cluster_of: Callable[[str], Cluster]) -> Callable[..., list[Cell]]:
    return lambda rest="", cluster=TWO: list(cells(study_of(BASE + rest), cluster_of(cluster)))


def test_the_product_of_the_axes_and_a_reference_row_for_each_model_and_device(
    grid_of: Callable[..., list[Cell]],
) -> None:
    found = grid_of()
    assert Counter(cell.runtime for cell in found) == {"tvm": 2 * 2 * 2 * 2, "onnxruntime": 2 * 2}
    assert found[0] == Cell("squeezenet", "-", "-", None, "NCHW", "float32", 1, "a", "onnxruntime")
    assert len({cell.id for cell in found}) == len({cell.name for cell in found}) == len(found)


def test_names_are_short_and_say_what_is_unusual() -> None:
    assert Cell("net", "native", "xgb", 3, "NCHW", "float32", 1, "a", "tvm").name == "net native xgb O3 a"
    assert (
        Cell("net", "avx2", "none", 0, "NHWC", "float16", 8, "a", "tvm").name
        == "net avx2 none O0 NHWC float16 batch8 a"
    )
    assert Cell("net", "-", "-", None, "NCHW", "float32", 1, "a", "onnxruntime").name == "net onnxruntime a"


def test_references_can_be_turned_off(grid_of: Callable[..., list[Cell]]) -> None:
    assert {cell.runtime for cell in grid_of("reference: []\n")} == {"tvm"}


def test_references_have_a_row_for_each_batch_and_none_for_layout_and_precision(
    grid_of: Callable[..., list[Cell]],
) -> None:
    found = grid_of("axes: {batch: [1, 4], layout: [NCHW, NHWC], precision: [float16, float32]}\n")
    references = [cell for cell in found if cell.runtime != "tvm"]
    assert len(references) == 2 * 2 * 2
    assert {(cell.layout, cell.precision, cell.opt_level) for cell in references} == {("NCHW", "float32", None)}


def test_excluded_cells_are_not_there(grid_of: Callable[..., list[Cell]]) -> None:
    found = grid_of("exclude: [{tuner: xgb, opt_level: 1}, {model: resnet50, device: [b]}]\n")
    assert not [cell for cell in found if (cell.tuner, cell.opt_level) == ("xgb", 1)]
    assert not [cell for cell in found if (cell.model, cell.device) == ("resnet50", "b")]
    assert len(found) == 20 - 4 - 4 - 1 + 1  # the rules overlap in one cell


def test_included_cells_come_back_or_go_beyond_the_axes_once(grid_of: Callable[..., list[Cell]]) -> None:
    plain = grid_of("exclude: [{tuner: xgb}]\n")
    found = grid_of(
        "exclude: [{tuner: xgb}]\n"
        "include: [{model: resnet50, tuner: xgb, opt_level: [3, 4]}, {opt_level: 4, tuner: xgb}]\n"
    )
    added = found[len(plain) :]
    assert found[: len(plain)] == plain
    assert Counter((cell.model, cell.opt_level) for cell in added) == {
        ("resnet50", 3): 2,
        ("resnet50", 4): 2,
        ("squeezenet", 4): 2,
    }
    assert len(set(found)) == len(found)


def test_a_target_that_does_not_fit_a_device_is_left_out_there_with_the_reason(
    study_of: Callable[[str], Study], cluster_of: Callable[[str], Cluster]
) -> None:
    study, cluster = study_of(BASE + "targets: [native, llvm -mcpu=haswell]\n"), cluster_of(TWO)
    assert {(cell.target, cell.device) for cell in cells(study, cluster) if cell.runtime == "tvm"} == {
        ("native", "a"),
        ("native", "b"),
        ("haswell", "a"),
    }
    [entry] = Grid(study, cluster).left_out()
    assert (entry.what, entry.device) == ("haswell", "b")
    assert entry.reason.startswith("the device lacks avx, avx2")


def test_boards_elsewhere_have_no_reference_rows_and_say_so(
    study_of: Callable[[str], Study], cluster_of: Callable[[str], Cluster]
) -> None:
    study, cluster = study_of(BASE), cluster_of(WITH_BOARD)
    assert {(cell.runtime, cell.device) for cell in cells(study, cluster)} == {
        ("tvm", "a"),
        ("tvm", "pi"),
        ("onnxruntime", "a"),
    }
    assert [(entry.what, entry.device) for entry in Grid(study, cluster).left_out()] == [("onnxruntime", "pi")]


def test_chosen_devices_keep_the_order_of_the_cluster(grid_of: Callable[..., list[Cell]]) -> None:
    assert list(dict.fromkeys(cell.device for cell in grid_of("devices: [b, a]\n"))) == ["a", "b"]
    assert {cell.device for cell in grid_of("devices: [b]\n")} == {"b"}
