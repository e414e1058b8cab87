"""A small archive that would become large is refused before it is unpacked."""

from __future__ import annotations

import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sweep.api.bundles.reading import opened, read_zipped_manifest
from sweep.errors import StudyError
from sweep.files import unpacked_size
from sweep.files.npz import array_headers, load_arrays, save_arrays


@pytest.fixture(autouse=True)
def little_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not make gigabytes."""
    monkeypatch.setattr(unpacked_size, "_FREE_BYTES", 64 << 20)


def bomb(path: Path, name: str, head: bytes = b"") -> Path:
    """300 MB of zeros in 300 kB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as stream:
        stream.write(head)
        for _ in range(300):
            stream.write(bytes(1_000_000))
    assert path.stat().st_size < 400_000
    return path


def test_packed_arrays_are_not_unpacked(tmp_path: Path) -> None:
    header = (
        np.lib.format.magic(1, 0)
        + b"v\x00"
        + b"{'descr': '|u1', 'fortran_order': False, 'shape': (300000000,), }".ljust(117)
        + b"\n"
    )
    path, before = bomb(tmp_path / "inputs.npz", "x.npy", header), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (load_arrays, array_headers):
        with pytest.raises(ValueError, match="it has 1 file of 300,000,128 bytes in all, of "):
            read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kB"


def test_an_array_that_says_it_is_huge_is_no_array(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    save_arrays(path, {"x": np.zeros(4, "float32")})
    with zipfile.ZipFile(path) as archive:
        member = archive.read("x.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.replace(b"(4,), }          ", b"(400000000000,), }"[:18].ljust(18)[:18]))
    with pytest.raises(ValueError, match="x is shorter than its shape"):
        load_arrays(path)


def test_arrays_that_somebody_packed_are_read(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    np.savez_compressed(path, x=np.zeros(1_000_000, "float32"))
    assert load_arrays(path)["x"].shape == (1_000_000,)


def test_a_bundle_is_not_unpacked(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bundle.zip", "bundle/manifest.json")
    with pytest.raises(StudyError, match="cannot be read: it has 1 file of 300,000,000 bytes in all"), opened(path):
        pass
    assert read_zipped_manifest(path) is None
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StudyError, match="cannot be read"), opened(path):
        pass
