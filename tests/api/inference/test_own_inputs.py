"""Inputs of one's own for `sweep exec`, and the classes that an output ranks first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.api.commands import exec as exec_command
from sweep.api.commands.exec import execute
from sweep.api.inference.own_inputs import OwnInputs
from sweep.api.inference.top_classes import read_labels, top_classes
from sweep.errors import StudyError
from sweep.study.gate import local_cluster
from tests.api.made_sweep import MadeCell, make_sweep

WANTED: dict[str, Any] = {
    "ids": {"shape": [1, 4], "dtype": "int64"},
    "image": {"shape": [1, 3, 6, 8], "dtype": "float32"},
}
IMAGE = {"image": WANTED["image"]}


def test_arrays_come_from_the_file_and_the_fill(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", ids=np.array([[1, 2, 3, 4]]))
    found = OwnInputs(tmp_path / "a.npz", "ones").arrays(WANTED)
    assert list(found) == ["ids", "image"]
    assert found["ids"].tolist() == [[1, 2, 3, 4]]
    assert (found["image"] == 1).all()
    assert found["image"].dtype == np.float32
    again = [OwnInputs(None, "random").arrays(WANTED)["image"] for _ in range(2)]
    np.testing.assert_array_equal(*again)


@pytest.mark.parametrize(
    ("arrays", "own", "said"),
    [
        ({"ids": np.zeros((1, 4), "int64")}, {}, "has not every input"),
        ({"idz": np.zeros((1, 4), "int64")}, {"fill": "ones"}, "idz: is no input of the network, did you mean 'ids'?"),
        ({"ids": np.zeros((1, 5), "int64")}, {"fill": "ones"}, "(got 'int64 [1, 5]'); allowed: int64 [1, 4]"),
        ({"ids": np.zeros((1, 4), "int32")}, {"fill": "ones"}, "(got 'int32 [1, 4]'); allowed: int64 [1, 4]"),
        (None, {"fill": "sevens"}, "--fill: is not known (got 'sevens'); allowed: zeros, ones, random"),
        (None, {"fill": "ones", "recipe": "imagnet"}, "--preprocess: is not known, did you mean 'imagenet'?"),
        (b"text", {"fill": "ones"}, "--input: is no .npz file, or a damaged one"),
    ],
)
def test_what_does_not_belong_is_one_line(tmp_path: Path, arrays: Any, own: dict[str, str], said: str) -> None:
    path = None if arrays is None else tmp_path / "a.npz"
    if isinstance(arrays, bytes):
        (tmp_path / "a.npz").write_bytes(arrays)
    elif arrays is not None:
        np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(StudyError) as refused:
        OwnInputs(path, **own).arrays(WANTED)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_picture_is_fitted_and_scaled_as_the_recipe_says(tmp_path: Path, channels_last: bool) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((60, 160, 3), "uint8")
    pixels[:] = (255, 128, 0)
    image.fromarray(pixels).save(tmp_path / "p.png")
    wanted = {"x": {"shape": [1, 6, 8, 3] if channels_last else [1, 3, 6, 8], "dtype": "float32"}}

    def first(recipe: str) -> list[float]:
        array = OwnInputs(tmp_path / "p.png", None, recipe).arrays(wanted)["x"]
        assert array.shape == tuple(wanted["x"]["shape"])
        assert array.dtype == np.float32
        return list(map(float, array[0, 0, 0] if channels_last else array[0, :, 0, 0]))

    assert first("bytes") == [255, 128, 0]
    assert first("unit") == pytest.approx([1, 128 / 255, 0])
    assert first("imagenet") == pytest.approx([(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225])


@pytest.mark.parametrize(
    ("dtype", "recipe", "said"),
    [
        ("uint8", "imagenet", "--preprocess: gives fractions, and the input x takes uint8; allowed: bytes"),
        ("int64", "unit", "--preprocess: gives fractions, and the input x takes int64; allowed: bytes"),
        ("int8", "unit", "--preprocess: gives fractions, and the input x takes int8; allowed: an .npz file"),
        ("int8", "bytes", "--preprocess: gives 0 to 255, and the input x takes int8 (got 'bytes'); allowed: an .npz"),
    ],
)
def test_a_recipe_whose_numbers_the_input_cannot_hold_is_refused(
    tmp_path: Path, dtype: str, recipe: str, said: str
) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.full((6, 8, 3), 200, "uint8")).save(tmp_path / "p.png")
    wanted: dict[str, Any] = {"x": {"shape": [1, 6, 8, 3], "dtype": dtype}}
    with pytest.raises(StudyError) as refused:
        OwnInputs(tmp_path / "p.png", None, recipe).arrays(wanted)
    assert said in str(refused.value)
    wanted["x"]["dtype"] = "uint8"
    assert (OwnInputs(tmp_path / "p.png", None, "bytes").arrays(wanted)["x"] == 200).all()


def test_a_picture_of_a_camera_that_was_turned_is_upright(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((8, 8, 3), "uint8")
    pixels[:4] = 255
    turned = image.fromarray(pixels).rotate(180)
    about = turned.getexif()
    about[0x0112] = 3  # orientation: upside down
    turned.save(tmp_path / "p.png", exif=about)
    wanted: dict[str, Any] = {"x": {"shape": [1, 8, 8, 3], "dtype": "uint8"}}
    assert (OwnInputs(tmp_path / "p.png", None, "bytes").arrays(wanted)["x"][0] == pixels).all()


def test_a_picture_for_no_picture_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "p.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(StudyError, match="it is no picture, or a damaged one"):
        OwnInputs(tmp_path / "p.png").arrays(IMAGE)
    with pytest.raises(StudyError, match=r"is a picture .* takes ids: int64 \[1, 4\]"):
        OwnInputs(tmp_path / "p.png").arrays({"ids": WANTED["ids"]})


def test_the_first_classes_with_their_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\nox\n", encoding="utf-8")
    labels = read_labels(tmp_path / "labels.txt")
    ranked = top_classes(np.array([[0.1, 0.7, 0.2]], "float32"), labels)
    assert [(each.index, each.label) for each in ranked] == [(1, "dog"), (2, "ox"), (0, "cat")]
    assert ranked[0].as_text() == "0.7  1 dog"
    assert [each.index for each in top_classes(np.arange(9.0).reshape(1, 9, 1, 1))] == [8, 7, 6, 5, 4]
    assert top_classes(np.zeros((1, 2, 3))) == []
    with pytest.raises(StudyError, match=r"another number of labels \(got 3\); allowed: 2"):
        top_classes(np.zeros((1, 2)), labels)
    with pytest.raises(StudyError, match="ranks no classes"):
        top_classes(np.zeros((2, 3)), labels)
    with pytest.raises(StudyError, match="cannot be read"):
        read_labels(tmp_path / "gone.txt")


def test_outputs_that_have_no_place_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--output: is in a folder that is not there"):
        execute(tmp_path, "here", local_cluster(), output=tmp_path / "nowhere" / "out.npz")
    with pytest.raises(StudyError, match="--output: is a folder"):
        execute(tmp_path, "here", local_cluster(), output=tmp_path)


def test_what_does_not_fit_the_network_is_refused_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log was compiled first, for minutes."""
    library, cluster = make_sweep(tmp_path / "made", [MadeCell()]) / "artifacts/build/b0", local_cluster()
    monkeypatch.setattr(exec_command, "EngineSession", lambda *_, **__: pytest.fail("an engine was started"))
    (tmp_path / "one.txt").write_text("cat\n")
    np.savez(tmp_path / "other.npz", other=np.ones(3))
    with pytest.raises(StudyError, match=r"--labels: has another number of labels \(got 1\); allowed: 2"):
        execute(library, cluster.devices[0].key, cluster, labels=tmp_path / "one.txt")
    with pytest.raises(StudyError, match="other: is no input of the network"):
        execute(library, cluster.devices[0].key, cluster, own=OwnInputs(tmp_path / "other.npz"))
