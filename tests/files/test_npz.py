"""Arrays in a file, under whatever names a network has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sweep.files.npz import load_arrays, save_arrays

NAMES = ["x", "file", "allow_pickle", "args", "kwds", "a/b:0", "../up", "", "x.npy", "größe 1"]


def test_every_name_comes_back_in_its_order(tmp_path: Path) -> None:
    """An input called file was refused by numpy.savez, one called allow_pickle was dropped."""
    arrays = {name: np.full((2, index), index, "int16") for index, name in enumerate(NAMES)}
    save_arrays(tmp_path / "a.npz", arrays)
    loaded = load_arrays(tmp_path / "a.npz")
    assert list(loaded) == NAMES
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    with np.load(tmp_path / "a.npz") as numpys:
        assert numpys.files == NAMES


def test_what_numpy_wrote_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(3), y=np.ones((2, 2), order="F"))
    loaded = load_arrays(tmp_path / "a.npz")
    assert loaded["x"].tolist() == [0, 1, 2]
    assert loaded["y"].tolist() == [[1, 1], [1, 1]]


def test_scalars_keep_their_shape(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", {"x": np.float32(2.5)[()]})
    assert load_arrays(tmp_path / "a.npz")["x"].shape == ()


def test_the_file_is_the_same_for_the_same_arrays(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_arrays(tmp_path / name, {"x": np.arange(5)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more", b"\x93NUMPY", b"text", b"PK\x05\x06"])
def test_another_file_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"no \.npz file"):
        load_arrays(tmp_path / "a.npz")


def test_an_array_of_its_own_and_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"no \.npz file"):
        load_arrays(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        load_arrays(tmp_path / "b.npz")
