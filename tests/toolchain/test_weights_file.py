"""Weights that stages share."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from sweep.toolchain.weights_file import ALIGNMENT_BYTES, WeightsFile, link_or_copy, read_array

A, B = np.arange(300, dtype=np.float32), np.arange(1000, dtype=np.int8)


def stage(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def written(folder: Path, *arrays: np.ndarray) -> Path:  # type: ignore[type-arg]
    weights = WeightsFile()
    for array in arrays:
        weights.put(array.tobytes())
    return folder / weights.write(folder)


def test_a_content_is_there_once_and_aligned(tmp_path: Path) -> None:
    weights = WeightsFile()
    spans = [weights.put(array.tobytes()) for array in (A, B, A, B, A)]
    assert spans[0] == spans[2] == spans[4] != spans[1] == spans[3]
    assert [span.offset_bytes % ALIGNMENT_BYTES for span in spans] == [0] * 5
    path = tmp_path / weights.write(stage(tmp_path / "a")).replace("weights", "a/weights")
    assert path.stat().st_size == spans[1].offset_bytes + B.nbytes
    np.testing.assert_array_equal(read_array(path, spans[0].offset_bytes, A.shape, "float32"), A)
    np.testing.assert_array_equal(read_array(path, spans[1].offset_bytes, (10, 100), "int8"), B.reshape(10, 100))


def test_folders_beside_each_other_share_what_is_the_same(tmp_path: Path) -> None:
    first, second = (written(stage(tmp_path / name), A, B) for name in ("one", ".two-in-the-making"))
    other = written(stage(tmp_path / "three"), B, A)
    assert first.name == second.name != other.name
    assert first.samefile(second)
    assert first.stat().st_nlink == 2
    assert [path.name for path in (tmp_path / "one").iterdir()] == [first.name]


def test_a_folder_that_goes_takes_nothing_from_the_others(tmp_path: Path) -> None:
    first, second = (written(stage(tmp_path / name), A) for name in ("one", "two"))
    first.unlink()
    assert second.read_bytes() == A.tobytes()


def test_a_file_that_is_not_whole_is_not_shared(tmp_path: Path) -> None:
    first = written(stage(tmp_path / "one"), A)
    first.unlink()
    first.write_bytes(A.tobytes()[:-4])
    assert written(stage(tmp_path / "two"), A).read_bytes() == A.tobytes()


def test_a_damaged_file_is_not_shared_and_writing_again_heals(tmp_path: Path) -> None:
    first = written(stage(tmp_path / "one"), A)
    first.chmod(0o644)
    first.write_bytes(bytes([A.tobytes()[0] ^ 1]) + A.tobytes()[1:])
    assert written(stage(tmp_path / "two"), A).read_bytes() == A.tobytes()


def test_nobody_writes_into_a_shared_file(tmp_path: Path) -> None:
    assert written(stage(tmp_path / "one"), A).stat().st_mode & 0o222 == 0


def test_without_hard_links_there_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    first, second = (written(stage(tmp_path / name), A) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes() == A.tobytes()
    assert not first.samefile(second)
    link_or_copy(first, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == A.tobytes()


def test_writers_at_once_each_have_the_whole(tmp_path: Path) -> None:
    folders = [stage(tmp_path / str(number)) for number in range(8)]
    together = Barrier(len(folders))

    def write(folder: Path) -> Path:
        together.wait()
        return written(folder, A, B)

    with ThreadPoolExecutor(len(folders)) as threads:
        paths = list(threads.map(write, folders))
    assert len({path.name for path in paths}) == 1
    assert len({path.read_bytes() for path in paths}) == 1
    assert all(len(list(folder.iterdir())) == 1 for folder in folders)
