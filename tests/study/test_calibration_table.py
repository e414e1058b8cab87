"""Tables of ranges that a study is calibrated by: known by their content, refused in a line where they do not serve."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweep
from sweep.api.inspecting.saved_table_check import check_saved_tables
from sweep.api.written_studies.study_document import as_document
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Stage
from sweep.study.gate import load_study, study_of
from sweep.study.spec import Study
from tests.networks import write_tiny
from tests.planning.grids import cluster, device

TABLE: dict[str, Any] = {
    "version": 1,
    "samples": 9,
    "source": "digits",
    "bins": 2048,
    "activations": {"x": {"min": -1.0, "max": 2.0}, "conv.1/y": {"min": 0.0, "max": 3}},
    "weights": {"kernel": {"shape": [1], "min": -1.0, "max": 1.0}},
}
KL = {"name": "int8-kl", "dtype": "int8", "calibrate": "kl"}
ZEROS = {"name": "zeros", "dtype": "int8", "calibrate_classes": [0]}
DIGITS = {"digits": {"sklearn": "digits"}}


def write_table(folder: Path, about: dict[str, Any] | None = None, histograms: Any = None) -> Path:
    """The files of a table; its `ranges.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ranges.json"
    path.write_text(json.dumps(TABLE if about is None else about, indent=1))
    if histograms is not None:
        np.savez(folder / "histograms.npz", histograms=histograms)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a network, another one, and a whole table in `saved`."""
    write_tiny(tmp_path / "tiny.onnx")
    write_tiny(tmp_path / "other.onnx", seed=1)
    write_table(tmp_path / "saved", histograms=np.ones((2, 4096), np.int64))
    return tmp_path


def _written(folder: Path, table: Any = "saved", precisions: Any = ("int8",), **further: Any) -> Study:
    calibration = {"table": table, **further.pop("calibration", {})}
    document = {"study": "a", "models": ["tiny.onnx"], "axes": {"precision": list(precisions)}, "runtimes": ["tvm"]}
    (folder / "study.yaml").write_text(json.dumps({**document, "calibration": calibration, **further}, indent=1))
    return load_study(folder / "study.yaml")


def _stages(study: Study, kind: str) -> list[Stage]:
    return [one for one in make_plan(study, cluster(device("one"))).stages.values() if one.kind == kind]


def test_the_stage_is_known_by_what_the_table_holds_and_not_by_where_it_is(folder: Path) -> None:
    (here,) = _stages(_written(folder), "calibrate")
    assert set(here.options) == {"table"}
    assert here.hints["table"] == str((folder / "saved" / "ranges.json").absolute())
    shutil.copytree(folder / "saved", folder / "away" / "copied")
    (folder / "away" / "copied" / "ranges.json").rename(folder / "away" / "copied" / "mine.json")
    (moved,) = _stages(_written(folder, "away/copied/mine.json"), "calibrate")
    assert moved.id == here.id
    changed = {**TABLE, "activations": {**TABLE["activations"], "x": {"min": -1.0, "max": 2.5}}}
    write_table(folder / "saved", changed)
    (other,) = _stages(_written(folder), "calibrate")
    assert other.id != here.id
    np.savez(folder / "away" / "copied" / "histograms.npz", histograms=np.zeros((2, 4096), np.int64))
    (counted,) = _stages(_written(folder, "away/copied/mine.json"), "calibrate")
    assert counted.id not in (here.id, other.id)


def test_without_a_table_the_stage_is_what_it_was(folder: Path) -> None:
    plain = study_of({"study": "a", "models": ["tiny.onnx"], "axes": {"precision": ["int8"]}}, folder)
    (stage,) = _stages(plain, "calibrate")
    assert stage.options == {"samples": 32, "seed": 0}


def test_models_without_a_table_are_calibrated_on_samples(folder: Path) -> None:
    study = _written(folder, {"other": "saved"}, models=["tiny.onnx", "other.onnx"], calibration={"random": 5})
    asked = {stage.label.split()[1]: set(stage.options) for stage in _stages(study, "calibrate")}
    assert asked == {"tiny": {"samples", "seed"}, "other": {"table"}}
    check_saved_tables(study, make_plan(study, cluster(device("one"))))


@pytest.mark.parametrize("table", ["saved", "saved/ranges.json", {"tiny": "saved"}])
@pytest.mark.parametrize("further", [{}, {"random": 7}, {"dataset": "digits", "samples": 9}])
def test_a_study_that_is_written_reads_as_it_was(folder: Path, table: Any, further: dict[str, Any]) -> None:
    study = _written(folder, table, calibration=further, datasets=DIGITS)
    document = as_document(study, folder)
    again = study_of(document, folder)
    assert again.calibration == study.calibration
    assert again.calibration.has_samples == study.calibration.has_samples
    assert {key: value for key, value in document["calibration"].items() if key != "table"} == further


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in TABLE.items() if name != key}


def _with(**changed: Any) -> dict[str, Any]:
    return {**TABLE, **changed}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ([1], r"ranges.json: is no table of a calibration: it has no ranges; allowed: "),
        (_without("activations"), r"ranges.json: is no table of a calibration: it has no ranges"),
        (_with(activations={}), r"ranges.json: is no table of a calibration: it has no ranges"),
        (_with(version=2), r"ranges.json:2: version: is of a newer version of sweep \(got 2\); allowed: up to 1"),
        (_with(version="one"), r"ranges.json:2: version: is no version \(got 'one'\)"),
        (_with(bins=1024), r"ranges.json:5: bins: is another number of bins \(got 1024\); allowed: 2048"),
        (_with(samples=-1), r"ranges.json:3: samples: is no number of samples \(got -1\)"),
        (_with(source=3), r"ranges.json:4: source: is no text \(got 3\)"),
        (
            _with(activations={"x": {"min": -1, "max": float("nan")}}),
            r"ranges.json:9: activations.x.max: is no finite number \(got nan\); allowed: ",
        ),
        (
            _with(activations={"x": {"min": -1, "max": float("inf")}}),
            r"ranges.json:9: activations.x.max: is no finite number \(got inf\)",
        ),
        (
            _with(activations={"x": {"min": -1, "max": 10**400}}),
            r"ranges.json:9: activations.x.max: is no finite number \(got 1000",
        ),
        (
            _with(activations={"x": {"min": 0, "max": 1}, "conv.1/y": {"min": 2, "max": 1}}),
            r"ranges.json:12: activations.conv.1/y.min: is above its max, 1 \(got 2\)",
        ),
        (_with(activations={"x": {"min": -1}}), r"ranges.json:7: activations.x.max: has none"),
        (_with(activations={"x": [0, 1]}), r"ranges.json:7: activations.x: is no range \(got \[0, 1\]\)"),
        (_with(activations={"x": {"min": "0", "max": 1}}), r"activations.x.min: is no finite number \(got '0'\)"),
        (_with(weights=3), r"weights: is no mapping"),
        (_with(weights={"kernel": {"min": True, "max": 2}}), r"weights.kernel.min: is no finite number \(got True\)"),
        (_with(network="tiny"), r"network: does not say which network \(got 'tiny'\)"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(folder: Path, about: Any, message: str) -> None:
    write_table(folder / "saved", about)
    with pytest.raises(StudyError, match=message) as raised:
        _written(folder)
    assert "\n" not in str(raised.value)


def test_what_is_no_json_is_told(folder: Path) -> None:
    (folder / "saved" / "ranges.json").write_text('{"activations": ')
    with pytest.raises(StudyError, match=r"ranges.json: is no table of a calibration: it is not JSON"):
        _written(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: np.savez(path, histograms=np.ones((3, 4096), np.int64)), r"got 'int64 \[3, 4096\]'"),
        (lambda path: np.savez(path, histograms=np.ones((2, 4096))), r"got 'float64 \[2, 4096\]'"),
        (lambda path: np.savez(path, counts=np.ones(2)), r"got 'counts'"),
        (lambda path: path.write_bytes(b"PK"), r"is no .npz file, or a damaged one"),
    ],
)
def test_histograms_that_are_not_the_tables_are_refused(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder / "saved" / "histograms.npz")
    with pytest.raises(StudyError, match=f"histograms.npz: .*{message}.*allowed: an array `histograms`"):
        _written(folder)


def test_a_way_that_takes_histograms_is_refused_without(folder: Path) -> None:
    (folder / "saved" / "histograms.npz").unlink()
    _written(folder)
    with pytest.raises(
        StudyError, match=r"study.yaml:\d+: calibration.table: has no histograms.npz .* int8-kl \(calibrate: kl\) takes"
    ):
        _written(folder, precisions=["int8", KL])


def test_a_path_that_leads_to_no_table_is_refused(folder: Path) -> None:
    for name in ("ab", "cd"):
        shutil.copytree(folder / "saved", folder / "swept" / "artifacts" / "calibrate" / name)
    (folder / "empty").mkdir()
    for table, message in (
        ("gone", r"calibration.table: does not exist \(got 'gone'\); allowed: ranges.json of artifacts/calibrate/ID"),
        ("empty", r"calibration.table: is a folder without ranges.json"),
        ("swept", r"is a whole sweep .*allowed: one of its tables: artifacts/calibrate/ab, or one of 1 others"),
        ("a\0b", r"calibration.table: is not a path"),
        ("", r"calibration.table: names no file"),
        ({}, r"calibration.table: names no file"),
        ({"tiny": "gone"}, r"calibration.table.tiny: does not exist"),
        ({"tinny": "saved"}, r"calibration.table.tinny: is no model of the study, did you mean 'tiny'"),
    ):
        with pytest.raises(StudyError, match=message) as raised:
            _written(folder, table)
        assert "study.yaml:" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_classes_have_no_part_in_a_table(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"is calibrated on classes \[0\] .*dataset: NAME, without a table"):
        _written(folder, precisions=[ZEROS], calibration={"dataset": "digits"}, datasets=DIGITS)


def test_the_table_of_another_network_is_refused_before_anything_runs(folder: Path) -> None:
    (other,) = study_of({"study": "a", "models": ["other.onnx"]}, folder).models
    write_table(folder / "saved", _with(network={"name": "other", "sha256": other.sha256}))
    machine = cluster(device("one"))
    with pytest.raises(
        StudyError, match=r"study.yaml:\d+: calibration.table: is of another network \(other\) than tiny"
    ):
        sweep.plan(_written(folder), machine)
    sweep.plan(_written(folder, precisions=["float32"]), machine)
    fitting = _written(folder, {"other": "saved"}, models=["tiny.onnx", "other.onnx"], calibration={"random": 3})
    sweep.plan(fitting, machine)
    with pytest.raises(StudyError, match=r"calibration.table: has none for tiny .*allowed: {tiny: PATH}, or dataset"):
        sweep.plan(_written(folder, {"other": "saved"}, models=["tiny.onnx", "other.onnx"]), machine)
