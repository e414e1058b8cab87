"""Each operator, quantised to int8, gives what LiteRT gives, or what lies one step beside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.tflite_operators import OPERATORS, SHAPE, joined
from tests.toolchain.models.tflite.conftest import compiled, drawn, litert, read

ROUNDED_OTHERWISE = {"resize bilinear": 0.2, "leaky relu": 0.1, "elu": 0.1, "requantised": 0.1, "hard swish": 0.1}
"""LiteRT computes these in fixed point, so that values between two steps go to the other one."""


class Answers(NamedTuple):
    """Of one file with all operators."""

    ours: list[Any]
    theirs: list[Any]
    owners: dict[str, slice]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    content, owners = joined()
    path = tmp_path_factory.mktemp("operators") / "all.tflite"
    path.write_bytes(content)
    data = drawn(SHAPE)
    return Answers(compiled(read(path).relax(), [data]), litert(path, [data]), owners)


@pytest.mark.parametrize("name", OPERATORS)
def test_it_gives_what_litert_gives(answers: Answers, name: str) -> None:
    ours, theirs = answers.ours[answers.owners[name]], answers.theirs[answers.owners[name]]
    for one, other in zip(ours, theirs, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert one.min() < one.max(), "a test that cannot fail"
        if one.dtype != np.int8:
            assert np.allclose(one, other, rtol=1e-6, atol=1e-6)
            continue
        apart = np.abs(one.astype(int) - other.astype(int))
        assert apart.max() <= 1
        assert np.mean(apart > 0) <= ROUNDED_OTHERWISE.get(name, 0.03)


def test_averages_are_rounded_as_tflite_does_it(answers: Answers) -> None:
    """TVM drops what is behind the point, which was one step off in half of all values."""
    for name in ("average pool", "average pool, padded"):
        for one, other in zip(answers.ours[answers.owners[name]], answers.theirs[answers.owners[name]], strict=True):
            assert np.array_equal(one, other)
