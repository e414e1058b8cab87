"""A data set that does not go with a network is refused before anything runs, in one line with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sweep
from sweep.api.inspecting.dataset_check import check_datasets
from sweep.datasets.outlines import BUILT_IN, Outline, outline_of
from sweep.datasets.reading import Wanted, read_samples
from sweep.errors import StudyError
from tests.networks import write_tiny

ONE_CLASS = {"name": "few", "dtype": "int8", "calibrate_classes": [7]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a network that takes [1, 3, 8, 8]."""
    write_tiny(tmp_path / "tiny.onnx")
    labels = np.arange(20) % 4
    np.savez(tmp_path / "fit.npz", x=np.zeros((20, 8, 8, 3), np.float32), y=labels)
    np.savez(tmp_path / "small.npz", x=np.zeros((20, 7, 7, 3), np.float32), y=labels)
    parts = {"x_train": (12, 3, 8, 8), "x_test": (8, 3, 8, 8)}
    np.savez(
        tmp_path / "parted.npz",
        **{name: np.zeros(shape) for name, shape in parts.items()},
        y_train=labels[:12],
        y_test=labels[:8],
    )
    (tmp_path / "pets").mkdir()
    np.savez(tmp_path / "hundred.npz", x=np.zeros((100, 3, 8, 8), np.float32), y=np.arange(100) % 4)
    late = {"y_train": np.arange(12) % 3, "y_test": np.arange(8) % 4}
    np.savez(tmp_path / "late.npz", **{name: np.zeros(shape) for name, shape in parts.items()}, **late)
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 3, 8, 8), np.float32), y=np.zeros(1, np.int64))
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 3, 8, 8), np.float32), y=np.zeros(0, np.int64))
    np.savez(tmp_path / "below.npz", x=np.zeros((3, 3, 8, 8), np.float32), y=np.arange(3) - 1)
    Image.new("RGB", (9, 9)).save(tmp_path / "pets" / "one.png")
    (tmp_path / "pets.txt").write_text("one.png,0\ntwo.png,1\n")
    (tmp_path / "one.txt").write_text("one.png,0\n")
    return tmp_path


def _checked(folder: Path, **keys: Any) -> None:
    document = {"study": "s", "models": ["tiny.onnx"], **keys}
    (folder / "study.yaml").write_text(json.dumps(document, indent=1))
    check_datasets(sweep.load_study(folder / "study.yaml"))


def _dataset(**about: Any) -> dict[str, Any]:
    return {"datasets": {"d": about}, "evaluate": {"dataset": "d"}}


@pytest.mark.parametrize(
    "keys",
    [
        _dataset(npz="fit.npz"),
        _dataset(npz="parted.npz"),
        _dataset(npz="one.npz"),
        {"datasets": {"d": {"npz": "one.npz"}}, "calibration": {"dataset": "d"}, "axes": {"precision": ["int8"]}},
        _dataset(images="pets", labels="one.txt"),
        _dataset(images="pets", labels="one.txt", preprocess={"crop": 8}),
        {**_dataset(npz="fit.npz", test=0.25), "evaluate": {"dataset": "d", "samples": 4}},
        {"datasets": {"d": {"npz": "small.npz"}}, "calibration": {"dataset": "d"}},
        {
            "datasets": {"d": {"npz": "hundred.npz"}},
            "calibration": {"dataset": "d"},
            "axes": {"precision": ["int8"]},
        },
    ],
)
def test_what_fits_or_is_not_used_passes(folder: Path, keys: dict[str, Any]) -> None:
    _checked(folder, **keys)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            _dataset(npz="small.npz"),
            ["datasets.d.preprocess", "do not fit the network of tiny", "[7, 7, 3]", "[3, 8, 8]"],
        ),
        (_dataset(sklearn="iris"), ["datasets.d.preprocess", "[4]", "[3, 8, 8]"]),
        (_dataset(npz="fit.npz", preprocess={"crop": 9}), ["datasets.d.preprocess.crop", "8 x 8"]),
        (_dataset(npz="fit.npz", preprocess={"mean": [1, 2]}), ["datasets.d.preprocess.mean", "one number, or 3"]),
        (_dataset(images="pets", labels="pets.txt"), ["datasets.d.labels", "a picture that is not there", "two.png"]),
        (
            _dataset(npz="one.npz", test=0.25),
            ["datasets.d", "has no sample in its split test, which evaluate takes", "another share of them: `test:`"],
        ),
        (_dataset(npz="none.npz"), ["datasets.d", "has no sample in its split test, which evaluate takes"]),
        (_dataset(npz="below.npz"), ["datasets.d", "has a class below 0 (got -1)"]),
        (
            {
                "datasets": {"d": {"npz": "one.npz", "test": 0.75}},
                "calibration": {"dataset": "d"},
                "axes": {"precision": ["int8"]},
            },
            ["datasets.d", "has no sample in its split train, which calibration takes"],
        ),
        (
            {**_dataset(npz="fit.npz", test=0.25), "evaluate": {"dataset": "d", "samples": 5}},
            ["evaluate.samples", "is more than the data set has", "got 5", "at most 4, which is its split test"],
        ),
        (
            {**_dataset(npz="parted.npz"), "evaluate": {"dataset": "d", "samples": 21, "split": "all"}},
            ["evaluate.samples", "at most 20, which is all its samples"],
        ),
        (
            {
                "datasets": {"d": {"npz": "parted.npz"}},
                "calibration": {"dataset": "d", "samples": 13},
                "axes": {"precision": ["int8"]},
            },
            ["calibration.samples", "got 13", "at most 12, which is its split train"],
        ),
        (  # as many as where nothing is said
            {
                "datasets": {"d": {"npz": "hundred.npz"}},
                "calibration": {"dataset": "d", "samples": 128},
                "axes": {"precision": ["int8"]},
            },
            ["calibration.samples", "got 128", "at most 100, which is its split train"],
        ),
        (  # one of the other split alone
            {
                "datasets": {"d": {"npz": "late.npz"}},
                "calibration": {"dataset": "d"},
                "axes": {"precision": [{**ONE_CLASS, "calibrate_classes": [3]}]},
            },
            ["is no class of the data set's split train", "got 3", "allowed: 0, 1, 2"],
        ),
        (
            {
                "datasets": {"d": {"npz": "fit.npz"}},
                "calibration": {"dataset": "d"},
                "axes": {"precision": ["int8", ONE_CLASS]},
            },
            ["axes.precision[1].calibrate_classes", "is no class of the data set", "got 7", "0, 1, 2, 3"],
        ),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(folder: Path, keys: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(StudyError) as raised:
        _checked(folder, **keys)
    said = str(raised.value)
    assert "\n" not in said
    assert all(word in said for word in words), said
    assert "study.yaml:" in said, "with its line"


def test_a_plan_says_it_too(folder: Path) -> None:
    (folder / "study.yaml").write_text(json.dumps({"study": "s", "models": ["tiny.onnx"], **_dataset(npz="small.npz")}))
    study = sweep.load_study(folder / "study.yaml")
    for ask in (sweep.plan, sweep.explain):
        with pytest.raises(StudyError, match="do not fit the network of tiny"):
            ask(study, sweep.load_cluster())


@pytest.mark.parametrize("cells_of_a_large_grid", [10_000, 1])
def test_a_data_set_is_looked_at_once(
    folder: Path, cells_of_a_large_grid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[object] = []

    def look(options: Any, files: Any) -> Outline:
        looked_at.append(files)
        return outline_of(options, files)

    monkeypatch.setattr("sweep.api.inspecting.dataset_check.outline_of", look)
    monkeypatch.setattr("sweep.planning.sharing.large_grids._LARGE", cells_of_a_large_grid)
    (folder / "study.yaml").write_text(json.dumps({"study": "s", "models": ["tiny.onnx"], **_dataset(npz="fit.npz")}))
    summary = sweep.explain(sweep.load_study(folder / "study.yaml"), sweep.load_cluster(), out=folder / "out")
    assert summary.cells
    assert len(looked_at) == 1


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_known_of_scikit_learn_s_is_so(name: str) -> None:
    options = {"of": "sklearn", "name": name, "test": 0.25, "seed": 3}
    outline, whole = outline_of(options, {}), read_samples(options, {}, Wanted("all"))
    assert outline.sample.shape[1:] == whole.inputs.shape[1:]
    assert np.array_equal(np.bincount(whole.labels), np.bincount(outline.labels["all"]))
    for split in ("train", "test", "all"):
        assert outline.count(Wanted(split)) == len(read_samples(options, {}, Wanted(split)))
