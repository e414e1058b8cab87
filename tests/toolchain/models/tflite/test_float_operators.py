"""Each operator on floats, with the options that people have, gives what LiteRT gives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.tflite_float_operators import OPERATORS, SHAPE, joined
from tests.toolchain.models.tflite.conftest import compiled, drawn, litert, read

MENDED = (
    "softmax", "gelu by tanh", "cast", "floor div of integers", "floor mod of integers", "div of integers", "arg max",
    "one hot", "gather in a batch", "gather behind a batch", "gather nd", "scatter nd", "cumsum, exclusive and back",
    "mirror pad with its edge", "resize nearest, corners", "dense", "dense, of an image", "update of a part",
    "matrix diagonal", "embedding",
)  # fmt: skip
"""What TVM's converter of its own refuses, or makes something else of."""


class Answers(NamedTuple):
    """Of one file with operators."""

    ours: list[Any]
    theirs: list[Any]
    owners: dict[str, slice]


@pytest.fixture(scope="module", params=[MENDED, pytest.param(tuple(OPERATORS), marks=pytest.mark.slow)])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    content, owners = joined(request.param)
    path = tmp_path_factory.mktemp("operators") / "all.tflite"
    path.write_bytes(content)
    data = drawn(SHAPE, "float32")
    return Answers(compiled(read(path).relax(), [data]), litert(path, [data]), owners)


def test_it_gives_what_litert_gives(answers: Answers) -> None:
    wrong = {}
    for name, place in answers.owners.items():
        for one, other in zip(answers.ours[place], answers.theirs[place], strict=True):
            assert one.size
            if (one.shape, one.dtype) != (other.shape, other.dtype):
                wrong[name] = f"{one.dtype} {one.shape} for {other.dtype} {other.shape}"
            elif not np.allclose(one, other, rtol=1e-5, atol=1e-5):
                wrong[name] = f"off by up to {np.abs(one.astype(float) - other).max():.2g}"
    assert wrong == {}
