"""The transforms of audio networks, whose frames are cut or filled with zeros, give what LiteRT gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tflite_networks import Network, ints
from tests.toolchain.models.tflite.conftest import compiled, drawn, litert, read


def spectrum(frame: int, length: int) -> bytes:
    network = Network()
    frames, count = network.tensor("frames", (3, 1, frame)), length // 2 + 1
    made = network.tensor("made", (3, 1, count), "complex64")
    rows = network.tensor("rows", (3, count), "complex64")
    size, real = network.tensor("size", (3, count)), network.tensor("real", (3, 1, count))
    network.operator("RFFT2D", [frames, network.constant([1, length])], [made], ("Rfft2dOptions", {}))
    network.operator("SQUEEZE", [made], [rows], ("SqueezeOptions", {0: ints(-2)}))
    network.operator("COMPLEX_ABS", [rows], [size])
    network.operator("CAST", [made], [real], ("CastOptions", {}))
    return network.written([frames], [size, real])


@pytest.mark.parametrize(("frame", "length"), [(400, 512), (512, 512), (600, 512), (9, 8), (5, 2)])
def test_it_gives_what_litert_gives(tmp_path: Path, frame: int, length: int) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(spectrum(frame, length))
    data = drawn((3, 1, frame), "float32")
    numbers = np.fft.rfft(data, length)
    found, expected = compiled(read(path).relax(), [data]), litert(path, [data])
    for one, other, right in zip(found, expected, (np.abs(numbers)[:, 0], numbers.real), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(one, right, rtol=1e-4, atol=1e-4)
