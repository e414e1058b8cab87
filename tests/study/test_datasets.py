"""What a study says of labelled samples: found, hashed by content, refused in one line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sweep
from sweep.errors import StudyError
from sweep.study.gate import study_of
from tests.networks import write_tiny


def study(folder: Path, **keys: object) -> sweep.Study:
    return study_of({"study": "s", "models": [str(write_tiny(folder / "tiny.onnx"))], **keys}, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "plain.npz", x=np.zeros((6, 8, 8)), y=np.arange(6))
    arrays = {f"{of}_{part}": np.zeros(3, int) for of in "xy" for part in ("train", "test")}
    np.savez(tmp_path / "parted.npz", **arrays)
    np.savez(tmp_path / "odd.npz", x=np.zeros((6, 8, 8)), y=np.arange(5), z=np.zeros(6))
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "pets" / name / "one.png")
    (tmp_path / "pets.txt").write_text("cat/one.png,0\ndog/one.png,1\n")
    return tmp_path


def test_each_kind_is_found_with_its_content(folder: Path) -> None:
    found = study(
        folder,
        datasets={
            "plain": {"npz": "plain.npz", "preprocess": {"mean": [0.0], "std": [16.0]}},
            "parted": {"npz": "parted.npz"},
            "folders": {"images": "pets"},
            "listed": {"images": "pets", "labels": "pets.txt", "test": 0.5},
            "digits": {"sklearn": "digits"},
        },
        evaluate={"dataset": "digits", "samples": 10, "metrics": ["g_mean", "accuracy"]},
    )
    plain, parted, folders, listed, digits = (found.datasets[name].options for name in found.datasets)
    assert plain["arrays"] == {"all": ["x", "y"]}
    assert plain["preprocess"] == {"mean": [0.0], "std": [16.0]}
    assert len(plain["sha256"]) == 64
    assert parted["arrays"] == {"train": ["x_train", "y_train"], "test": ["x_test", "y_test"]}
    assert "labels" not in folders
    assert len(listed["labels"]) == 64
    assert (listed["test"], listed["seed"]) == (0.5, 0)
    assert digits == {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0}
    assert found.evaluate is not None
    assert (found.evaluate.dataset.name, found.evaluate.metrics) == ("digits", ("accuracy", "g_mean"))


def test_a_data_set_is_its_content_and_not_its_place(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    for name in ("plain.npz", "pets.txt"):
        shutil.copyfile(folder / name, folder / "elsewhere" / name)
    shutil.copytree(folder / "pets", folder / "elsewhere" / "pets")
    asked = {"npz": {"npz": "{}plain.npz"}, "images": {"images": "{}pets", "labels": "{}pets.txt"}}
    here, there = (
        study(folder, datasets={name: {k: v.format(at) for k, v in one.items()} for name, one in asked.items()})
        for at in ("", "elsewhere/")
    )
    assert here.datasets == there.datasets
    Image.new("RGB", (4, 4), "red").save(folder / "elsewhere" / "pets" / "cat" / "one.png")
    np.savez(folder / "elsewhere" / "plain.npz", x=np.ones((6, 8, 8)), y=np.arange(6))
    changed = study(folder, datasets={"npz": {"npz": "elsewhere/plain.npz"}, "images": {"images": "elsewhere/pets"}})
    for name in asked:
        assert changed.datasets[name].options["sha256"] != here.datasets[name].options["sha256"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"datasets": {"d": {}}}, ["datasets.d", "names nothing to read", "npz, images, sklearn"]),
        ({"datasets": {"d": {"npz": "plain.npz", "images": "pets"}}}, ["datasets.d.images", "does not go with npz"]),
        ({"datasets": {"d": {"npz": "absent.npz"}}}, ["datasets.d.npz", "absent.npz", "cannot be read"]),
        ({"datasets": {"d": {"npz": "pets.txt"}}}, ["datasets.d.npz", "is no .npz file"]),
        ({"datasets": {"d": {"npz": "plain.npz", "labels": "yy"}}}, ["has no array 'yy'", "one of x, y"]),
        ({"datasets": {"d": {"npz": "odd.npz"}}}, ["y: int64 [5]", "a whole number for each of x: [6, 8, 8]"]),
        ({"datasets": {"d": {"npz": "odd.npz", "labels": "z"}}}, ["z: float64 [6]", "a whole number"]),
        ({"datasets": {"d": {"npz": "parted.npz", "test": 0.5}}}, ["datasets.d.test", "0.5", "apart"]),
        ({"datasets": {"d": {"images": "absent"}}}, ["datasets.d.images", "is no folder"]),
        ({"datasets": {"d": {"images": "pets/cat"}}}, ["holds one.png in no folder of a class", "labels: FILE"]),
        ({"datasets": {"d": {"images": "pets", "labels": "absent"}}}, ["datasets.d.labels", "cannot be read"]),
        ({"datasets": {"d": {"sklearn": "digit"}}}, ["datasets.d.sklearn", "'digit'", "digits"]),
        ({"datasets": {"d": {"sklearn": "digits", "labels": "y"}}}, ["datasets.d.labels", "scikit-learn"]),
        ({"datasets": {"d": {"sklearn": "digits", "test": 1.0}}}, ["datasets.d.test", "1.0"]),
        ({"datasets": {"d": {"sklearn": "digits", "preprocess": {"std": [0]}}}}, ["datasets.d.preprocess.std[0]"]),
        ({"datasets": {"d": {"sklearn": "digits", "preprocess": {"layout": "NCWH"}}}}, ["layout", "NCHW"]),
        ({"evaluate": {"dataset": "digits"}}, ["evaluate.dataset", "is no data set", "under `datasets:`"]),
        (
            {"datasets": {"digits": {"sklearn": "digits"}}, "evaluate": {"dataset": "digit"}},
            ["evaluate.dataset", "did you mean 'digits'", "digits"],
        ),
        (
            {"datasets": {"d": {"sklearn": "digits"}}, "evaluate": {"dataset": "d", "metrics": ["f1"]}},
            ["evaluate.metrics[0]", "f1", "g_mean"],
        ),
        (
            {"datasets": {"d": {"sklearn": "digits"}}, "evaluate": {"dataset": "d", "models": ["teny"]}},
            ["evaluate.models", "did you mean 'tiny'"],
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(folder: Path, keys: dict[str, object], words: list[str]) -> None:
    with pytest.raises(StudyError) as caught:
        study(folder, **keys)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_saved_study_keeps_them(folder: Path) -> None:
    asked = study(
        folder,
        datasets={
            "plain": {"npz": "plain.npz", "preprocess": {"std": [16.0], "layout": "NCHW"}},
            "pets": {"images": "pets", "labels": "pets.txt"},
            "digits": {"sklearn": "digits", "test": 0.4, "seed": 3},
        },
        evaluate={"dataset": "plain", "samples": 5, "split": "all"},
    )
    (folder / "below").mkdir()
    again = sweep.load_study(sweep.save_study(asked, folder / "below" / "again.yaml") or folder / "below/again.yaml")
    assert again.datasets == asked.datasets
    assert again.evaluate == asked.evaluate


def test_a_plan_reads_no_sample(folder: Path) -> None:
    loaded = {name for name in ("sklearn", "PIL") if name in sys.modules}
    study(folder, datasets={"digits": {"sklearn": "digits"}, "pets": {"images": "pets"}})
    assert {name for name in ("sklearn", "PIL") if name in sys.modules} == loaded
