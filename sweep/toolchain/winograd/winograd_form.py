"""Forms of Winograd's convolution, F(2,3) and F(4,3): what they compute, and how exact they are for given weights.

A form F(m, 3) computes m outputs of a window of 3 by m + 2 products: data and weights are taken for polynomials, whose
values at m + 1 points and at infinity are multiplied, and the product is interpolated (Winograd 1980; Lavin and Gray
2015). In two dimensions F(2,3) has 16 products for 4 outputs, and F(4,3) 36 for 16, where the window has 36 and 144.

The points are 0, infinity and pairs of a number and its negative, as sums and differences of a pair are shared. Those
of F(4,3) are the square root of 2 and its inverse: with the usual 1 and 2 its error is four times as large.

The expressions here are of whatever adds and is multiplied with numbers: arrays, or terms of a tensor program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.study.precisions import PRECISIONS

__all__ = ["FORMS", "WINDOW", "WinogradForm", "allowed_error"]

WINDOW = 3
"""Size of the windows."""

_SHARES = {3: 500, 4: 50}
"""By opt level: what share of float32's tolerance one layer may be off at most. So many layers in a row, all off to the
same side, stay within the tolerance."""
_SAMPLE_TILES = 4
_SAMPLE_OUTPUTS = 64
"""Channels of the output."""
_UNEVEN = 0.05
"""By how much neighbours of the made-up data differ, where a channel's level is from 0 to 1."""
_SEED = 0

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class WinogradForm:
    """F(m, 3) in two dimensions."""

    name: str
    outputs: int
    """m, in each dimension."""
    points: tuple[float, ...]
    """Beside 0 and infinity, each together with its negative."""

    @property
    def size(self) -> int:
        """Of a tile of data in each dimension, and of its transform: m + 2."""
        return self.outputs + WINDOW - 1

    def data_rows(self, data: Sequence[Any]) -> list[Any]:
        """The transform of the `size` values of one dimension: those of their polynomial's multiples."""
        squares = [round(point * point, 12) for point in self.points]
        if len(squares) == 1:
            [(point, square)] = zip(self.points, squares, strict=True)
            odd = _times(point, data[1])
            first, last = (data[at + 2] - _times(square, data[at]) for at in (0, 1))
            return [first, data[2] + odd, data[2] - odd, last]
        total, product = round(sum(squares), 12), round(squares[0] * squares[1], 12)
        pairs = []
        for point, other in zip(self.points, reversed(squares), strict=True):
            even = data[4] - _times(other, data[2])
            odd = _times(point, data[3]) - _times(round(point * other, 12), data[1])
            pairs += [even + odd, even - odd]
        first, last = (data[at + 4] - _times(total, data[at + 2]) + _times(product, data[at]) for at in (0, 1))
        return [first, *pairs, last]

    def output_rows(self, products: Sequence[Any]) -> list[Any]:
        """The `outputs` values of one dimension, of the `size` products."""
        first, *pairs, last = products
        rows = []
        for power in range(self.outputs):
            sign = 1 if power % 2 == 0 else -1
            value = first if power == 0 else None
            for number, point in enumerate(self.points):
                one, other = pairs[2 * number : 2 * number + 2]
                term = _times(round(point**power, 12), one + other if sign > 0 else one - other)
                value = term if value is None else value + term
            rows.append(value + last if power == self.outputs - 1 else value)
        return rows

    def transformed(self, weights: Array) -> Array:
        """Weights [O, 3, 3, I] as [size, size, I, O], in their own number type; computed in float64."""
        outputs, inputs = weights.shape[0], weights.shape[3]
        matrix = np.kron(self._weight_matrix, self._weight_matrix)
        flat = weights.transpose(1, 2, 3, 0).astype(np.float64, order="C").reshape(WINDOW * WINDOW, -1)
        found = np.empty((len(matrix), flat.shape[1]), weights.dtype)
        for number, row in enumerate(matrix):  # all at once would take twice the result's memory beside it
            found[number] = row @ flat
        return found.reshape(self.size, self.size, inputs, outputs)

    def restored(self, transformed: Array) -> Array:
        """The weights of transformed ones [size, size, ...], as [3, 3, ...]: whatever order the rest is in."""
        inverse = np.linalg.pinv(self._weight_matrix)
        flat = transformed.astype(np.float64).reshape(self.size * self.size, -1)
        return np.asarray((np.kron(inverse, inverse) @ flat).reshape(WINDOW, WINDOW, *transformed.shape[2:]))

    def error(self, weights: Array) -> float:
        """The largest difference from the exact output, relative to the largest output, in float32 for these weights
        [O, 3, 3, I] and some made-up data: as behind a ReLU none is negative, and neighbours are alike. Of many output
        channels some are looked at, evenly.
        """
        weights = weights[:: -(-weights.shape[0] // _SAMPLE_OUTPUTS)]
        random, shape = np.random.default_rng(_SEED), (self.size, self.size, _SAMPLE_TILES, weights.shape[3])
        data = (random.uniform(size=shape[2:]) + random.uniform(0, _UNEVEN, shape)).astype(np.float32)
        exact = np.ascontiguousarray(weights.astype(np.float64).transpose(1, 2, 3, 0))
        expected = np.zeros((self.outputs, self.outputs, _SAMPLE_TILES, weights.shape[0]))
        for y in range(WINDOW):
            for x in range(WINDOW):
                expected += data[y : y + self.outputs, x : x + self.outputs].astype(np.float64) @ exact[y, x]
        with np.errstate(over="ignore", invalid="ignore"):
            rows = np.stack(self.data_rows(list(data)))
            tiles = np.stack(self.data_rows(list(rows.swapaxes(0, 1)))).swapaxes(0, 1)
            products = tiles @ self.transformed(weights.astype(np.float32))
            columns = np.stack(self.output_rows(list(products)))
            found = np.stack(self.output_rows(list(columns.swapaxes(0, 1)))).swapaxes(0, 1)
            worst = float(np.abs(found - expected).max())
        largest = float(np.abs(expected).max())
        if not np.isfinite(worst):
            return float("inf")
        return worst / largest if largest else worst

    @property
    def _weight_matrix(self) -> Array:
        return _weight_matrix(self.points)


@lru_cache
def _weight_matrix(points: tuple[float, ...]) -> Array:
    """G: rows are the points, the last of them infinity; columns the powers, over what interpolation divides by."""
    every = [0.0, *(signed for point in points for signed in (point, -point))]
    rows = []
    for one in every:
        divisor = np.prod([one - other for other in every if other != one])
        rows.append([one**power / divisor for power in range(WINDOW)])
    return np.asarray([*rows, [0.0] * (WINDOW - 1) + [1.0]])


def _times(factor: float, value: Any) -> Any:
    return value if factor == 1 else value * factor


FORMS = (WinogradForm("F(2,3)", 2, (1.0,)), WinogradForm("F(4,3)", 4, (2**0.5, 0.5**0.5)))


def allowed_error(level: int) -> float | None:
    """How far one layer may be off at an opt level, relative to its largest output; None: it may have no such form."""
    tolerance = PRECISIONS.get("float32").tolerance
    share = _SHARES.get(level)
    return None if share is None or tolerance is None else tolerance / share
