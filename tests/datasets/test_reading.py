"""Samples as they come out of data sets: split by the seed, preprocessed, and in the form of a network's input."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sweep.datasets.preprocessing import NetworkInput, fitted, preprocess, quantised
from sweep.datasets.reading import Samples, Wanted, read_samples
from sweep.errors import StudyError
from sweep.study.gate import study_of
from tests.networks import write_tiny

DIGITS: dict[str, Any] = {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0}


def dataset(folder: Path, written: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    model = str(write_tiny(folder / "tiny.onnx"))
    found = study_of({"study": "s", "models": [model], "datasets": {"d": written}}, folder).datasets["d"]
    return dict(found.options), dict(found.files)


def test_digits_are_split_by_their_seed_and_shaped_for_a_network() -> None:
    train, test, whole = (read_samples(DIGITS, {}, Wanted(split)) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(whole)) == (1347, 450, 1797)
    both = np.concatenate([train.inputs, test.inputs]).reshape(1797, -1)
    assert np.array_equal(np.sort(both.sum(axis=1)), np.sort(whole.inputs.reshape(1797, -1).sum(axis=1)))
    assert abs(np.bincount(test.labels) * 4 - np.bincount(whole.labels)).max() <= 3  # of each class its share
    assert whole.classes == [str(digit) for digit in range(10)]
    assert not np.array_equal(test.labels, read_samples({**DIGITS, "seed": 1}, {}, Wanted("test")).labels)
    recipe = {**DIGITS, "preprocess": {"divide": 16.0}}
    for shape in ([1, 1, 8, 8], [7, 8, 8, 1], [1, 64], [1, 8, 8]):
        shaped = read_samples(recipe, {}, Wanted("test"), NetworkInput(shape))
        assert shaped.inputs.shape == (450, *shape[1:])
        assert shaped.inputs.dtype == np.float32
        assert np.array_equal(shaped.inputs.reshape(450, -1), test.inputs.reshape(450, -1) / 16)


def test_some_are_drawn_by_the_seed_and_of_some_classes() -> None:
    first, again, other = (read_samples(DIGITS, {}, Wanted("train", 50, seed)) for seed in (0, 0, 1))
    assert len(first) == 50
    assert np.array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)
    threes = read_samples(DIGITS, {}, Wanted("train", classes=(3,)))
    assert set(threes.labels) == {3}
    assert len(threes) > 100


def test_arrays_of_a_file_are_samples(tmp_path: Path) -> None:
    values = np.arange(5 * 4).reshape(5, 2, 2).astype("uint8")
    np.savez(tmp_path / "d.npz", x=values, y=[0, 1, 2, 1, 0])
    options, files = dataset(tmp_path, {"npz": "d.npz", "preprocess": {"mean": [1.0], "std": [2.0]}})
    read = read_samples(options, files, Wanted("test"))
    assert np.allclose(read.inputs, (values - 1.0) / 2.0)
    assert list(read.labels) == [0, 1, 2, 1, 0]
    arrays = {f"{of}_{part}": np.full(2, number) for number, part in enumerate(("train", "test")) for of in "xy"}
    np.savez(tmp_path / "parted.npz", **arrays)
    options, files = dataset(tmp_path, {"npz": "parted.npz"})
    found = {split: read_samples(options, files, Wanted(split)).labels.tolist() for split in ("train", "test", "all")}
    assert found == {"train": [0, 0], "test": [1, 1], "all": [0, 0, 1, 1]}


def test_pictures_are_read_by_folders_and_by_a_list(tmp_path: Path) -> None:
    for name, colour in (("cat/a.png", (255, 0, 0)), ("dog/b.png", (0, 0, 255))):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 8), colour).save(tmp_path / "pets" / name)
    (tmp_path / "labels.txt").write_text("dog/b.png 7\ncat/a.png 3\n")
    options, files = dataset(tmp_path, {"images": "pets"})
    by_folder = read_samples(options, files, Wanted("test"))
    assert by_folder.inputs.shape == (2, 8, 6, 3)
    assert (by_folder.classes, by_folder.labels.tolist()) == (["cat", "dog"], [0, 1])
    assert by_folder.inputs[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    options, files = dataset(tmp_path, {"images": "pets", "labels": "labels.txt"})
    for_network = read_samples(options, files, Wanted("test"), NetworkInput([1, 3, 4, 4]))
    assert for_network.inputs.shape == (2, 3, 4, 4)
    assert for_network.labels.tolist() == [7, 3]
    assert for_network.inputs[0, :, 0, 0].tolist() == [0.0, 0.0, 1.0]
    recipe = {"resize": 4, "crop": [4, 2], "mean": [0.5] * 3, "std": [0.5] * 3, "layout": "NCHW"}
    options, files = dataset(tmp_path, {"images": "pets", "labels": "labels.txt", "preprocess": recipe})
    cut = read_samples(options, files, Wanted("test"))
    assert cut.inputs.shape == (2, 3, 4, 2)
    assert cut.inputs[0, :, 0, 0].tolist() == [-1.0, -1.0, 1.0]
    grey = read_samples({**options, "preprocess": {"colour": "grey"}}, files, Wanted("test"))
    assert grey.inputs.shape == (2, 8, 6, 1)


def test_a_listed_picture_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    for name in ("pets/a.png", "secret.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    (tmp_path / "labels.txt").write_text("../secret.png,0\n")
    options, files = dataset(tmp_path, {"images": "pets", "labels": "labels.txt"})
    with pytest.raises(StudyError, match="outside the folder"):
        read_samples(options, files, Wanted("test"))


def test_files_that_are_not_what_they_were_are_refused(tmp_path: Path) -> None:
    """What is measured with them carries the hash that the study was read with."""
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 3), "float32"), y=[0, 1])
    options, files = dataset(tmp_path, {"npz": "d.npz"})
    assert len(read_samples(options, files, Wanted("test"))) == 2
    np.savez(tmp_path / "d.npz", x=np.ones((2, 3), "float32"), y=[1, 1])
    with pytest.raises(StudyError, match="is not what it was when the study was read"):
        read_samples(options, files, Wanted("test"))

    for name in ("a.png", "b.png"):
        (tmp_path / "pets").mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / "pets" / name)
    (tmp_path / "labels.txt").write_text("a.png 0\nb.png 1\n")
    options, files = dataset(tmp_path, {"images": "pets", "labels": "labels.txt"})
    assert len(read_samples(options, files, Wanted("test"))) == 2
    (tmp_path / "labels.txt").write_text("a.png 1\nb.png 0\n")
    with pytest.raises(StudyError, match="is not what it was"):
        read_samples(options, files, Wanted("test"))
    (tmp_path / "labels.txt").write_text("a.png 0\nb.png 1\n")
    (tmp_path / "pets" / "b.png").rename(tmp_path / "pets" / "c.png")
    with pytest.raises(StudyError, match="is not what it was"):
        read_samples(options, files, Wanted("test"))


def test_classes_that_are_none_are_refused(tmp_path: Path) -> None:
    """-1 stands for what was not answered: such a sample would be right where the scores are no numbers."""
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 3), "float32"), y=[0, -1])
    options, files = dataset(tmp_path, {"npz": "d.npz"})
    with pytest.raises(StudyError, match=r"has a class below 0 \(got -1\)"):
        read_samples(options, files, Wanted("test"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.png 99999999999999999999", "has too high a class"),
        ("b.tif 0", r"is no picture that is read.*\.png"),
        ("damaged.png 0", "cannot be read: it is no picture, or a damaged one"),
    ],
)
def test_what_a_list_of_pictures_may_hold(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    for name in ("a.png", "b.tif"):
        Image.new("RGB", (2, 2)).save(tmp_path / "pets" / name)
    chunk = b"IHDR" + b"\0\0\0\2\0"
    header = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "pets" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header)
    (tmp_path / "labels.txt").write_text(line + "\n")
    options, files = dataset(tmp_path, {"images": "pets", "labels": "labels.txt"})
    with pytest.raises(StudyError, match=said):
        read_samples(options, files, Wanted("test"))


@given(st.integers(1, 9), st.integers(1, 4))
def test_batches_hold_every_sample_once(count: int, size: int) -> None:
    samples = Samples(np.arange(count).reshape(-1, 1), np.arange(count))
    batches = list(samples.batches(size, pads=True))
    assert np.concatenate([labels for _, labels in batches]).tolist() == list(range(count))
    assert all(len(inputs) == size for inputs, _ in batches)
    assert all(inputs[: len(labels), 0].tolist() == labels.tolist() for inputs, labels in batches)
    assert [len(labels) for _, labels in samples.batches(size)] == [len(labels) for _, labels in batches]


@given(arrays("float64", (3, 4), elements=st.floats(-50, 50)), st.floats(0.01, 2.0), st.integers(-20, 20))
def test_a_quantised_input_is_within_half_a_step_or_clipped(values: Any, scale: float, zero: int) -> None:
    steps = quantised(values, scale, zero, "int8")
    back = (steps.astype("float64") - zero) * scale
    inside = (steps > -128) & (steps < 127)
    assert (np.abs(back - values)[inside] <= scale / 2 * (1 + 1e-9)).all()
    least, most = (-128 - zero) * scale, (127 - zero) * scale
    assert (np.abs(back - np.clip(values, least, most)) <= scale / 2 * (1 + 1e-9)).all()
    shaped = fitted(values, NetworkInput([1, 4], "int8", scale, zero))
    assert np.array_equal(shaped, steps)


@pytest.mark.parametrize(
    ("shape", "network", "words"),
    [
        ((2, 5), NetworkInput([1, 4]), "[5]"),
        ((2, 4, 6, 3), NetworkInput([1, 3, 6, 4]), "[4, 6, 3]"),
        ((2, 2), NetworkInput([1, 2], "int8"), "gives fractions"),
    ],
)
def test_samples_that_do_not_fit_are_refused(shape: tuple[int, ...], network: NetworkInput, words: str) -> None:
    with pytest.raises(StudyError) as caught:
        fitted(np.full(shape, 0.5), network)
    assert words in str(caught.value)


def test_numbers_beyond_the_type_and_steps_without_pictures_are_refused() -> None:
    with pytest.raises(StudyError, match="0 to 300"):
        fitted(np.array([[0.0, 300.0]]), NetworkInput([1, 2], "uint8"))
    with pytest.raises(StudyError, match=r"samples of shape \[5\]"):
        preprocess(np.zeros((2, 5)), {"crop": 2})
    with pytest.raises(StudyError, match="larger than a sample of 4 x 4"):
        preprocess(np.zeros((2, 4, 4)), {"crop": 5})
    with pytest.raises(StudyError, match=r"preprocess\.mean"):
        preprocess(np.zeros((2, 4, 4, 3)), {"mean": [1.0, 2.0]})


def test_channels_stand_where_the_layout_says() -> None:
    values = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    assert np.array_equal(preprocess(values, {"layout": "NCHW"}), values.transpose(0, 3, 1, 2))
    assert preprocess(values, {"layout": "flat"}).shape == (2, 60)
    assert np.array_equal(fitted(values, NetworkInput([1, 3, 4, 5], "int64")), values.transpose(0, 3, 1, 2))
    first = preprocess(values.transpose(0, 3, 1, 2), {"mean": [1.0, 2.0, 3.0]})  # as a file may have them
    assert np.array_equal(first[:, 1], values[..., 1] - 2.0)


@pytest.mark.parametrize("values", [np.array(["a", "b"]), np.ones(2, np.complex64), np.zeros(2, "datetime64[s]")])
def test_samples_that_are_no_numbers_are_refused_at_once(tmp_path: Path, values: Any) -> None:
    np.savez(tmp_path / "d.npz", x=values, y=[0, 1])
    with pytest.raises(StudyError, match=r"datasets.d.npz: has x: .* \[2\] .*allowed: samples of numbers"):
        dataset(tmp_path, {"npz": "d.npz"})


@pytest.mark.parametrize("kind", ["bool", "uint8", "int16", ">i4", "float16", "<f4", "float64"])
def test_samples_of_any_number_are_taken(tmp_path: Path, kind: str) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((2, 3), kind), y=np.array([0, 1], ">i8"))
    options, files = dataset(tmp_path, {"npz": "d.npz"})
    assert np.array_equal(read_samples(options, files, Wanted("all"), NetworkInput([1, 3])).inputs, np.ones((2, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_becomes_no_whole_number(value: float) -> None:
    samples = np.array([[0.5, value]])
    for wanted in (NetworkInput([1, 2], "int8", scale=0.1), NetworkInput([1, 2], "uint8")):
        with pytest.raises(StudyError, match=r"gives what is no finite number; .*since the network takes u?int8"):
            fitted(samples, wanted)
    assert not np.isfinite(fitted(samples, NetworkInput([1, 2]))).all()


def test_a_class_of_five_thousand_digits_is_too_high(tmp_path: Path) -> None:
    Image.new("RGB", (6, 8)).save(tmp_path / "a.png")
    (tmp_path / "labels.txt").write_text(f"a.png {'9' * 5000}\n")
    options, files = dataset(tmp_path, {"images": ".", "labels": "labels.txt"})
    with pytest.raises(StudyError, match=r"labels: has too high a class \(got '9{20}\.\.\.'\)"):
        read_samples(options, files, Wanted("all"))
