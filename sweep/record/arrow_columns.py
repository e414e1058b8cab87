"""A column of a table from plain values.

`pyarrow.array` loads pandas with the first list that it is given, to see whether that is a Series: half a second, a
quarter of `sweep report`. Here the buffers are laid out as Arrow has them, where each value is of the column's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["column_of"]

_NUMBERS = {pa.int8(): np.int8, pa.int32(): np.int32, pa.int64(): np.int64, pa.float64(): np.float64}
_MOST_BYTES = 2**31 - 1
"""Offsets of texts have 32 bits."""
_MOST_EXACT = 2**53
"""Of the whole numbers that float64 has without loss."""


def column_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values, None for those that are not there, as a column of this type.

    What is not quite of the type is left to pyarrow, which converts it where nothing is lost, or raises ArrowException,
    TypeError, ValueError or OverflowError.
    """
    try:
        return _laid_out(values, kind)
    except (TypeError, OverflowError, UnicodeEncodeError):
        return pa.array(values, kind)


def _laid_out(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Raises TypeError, OverflowError or UnicodeEncodeError where a value is not of this type."""
    there = [value for value in values if value is not None]
    if kind in _NUMBERS:
        _check(there, (int,) if kind != pa.float64() else (float, int))
        if kind == pa.float64() and any(isinstance(value, int) and abs(value) > _MOST_EXACT for value in there):
            raise OverflowError
        filled = [0 if value is None else value for value in values]
        return pa.Array.from_buffers(kind, len(values), [_present(values), _buffer(np.array(filled, _NUMBERS[kind]))])
    if kind == pa.bool_():
        if not all(value is True or value is False for value in there):
            raise TypeError
        return pa.Array.from_buffers(kind, len(values), [_present(values), _bits([value is True for value in values])])
    if kind == pa.string():
        _check(there, (str,))
        texts = [b"" if value is None else value.encode() for value in values]
        return pa.Array.from_buffers(
            kind, len(values), [_present(values), _offsets(texts), pa.py_buffer(b"".join(texts))]
        )
    if kind == pa.list_(pa.float64()):
        _check(there, (list, tuple))
        lists = [() if value is None else value for value in values]
        inner = _laid_out(list(chain.from_iterable(lists)), pa.float64())
        return pa.Array.from_buffers(kind, len(values), [_present(values), _offsets(lists)], children=[inner])
    raise TypeError


def _check(values: Sequence[Any], types: tuple[type, ...]) -> None:
    if not all(isinstance(value, types) and not isinstance(value, bool) for value in values):
        raise TypeError


def _present(values: Sequence[Any]) -> pa.Buffer | None:
    """The bitmap of those that are there; None where all are."""
    if all(value is not None for value in values):
        return None
    return _bits([value is not None for value in values])


def _bits(flags: Sequence[bool]) -> pa.Buffer:
    return _buffer(np.packbits(np.array(flags, bool), bitorder="little"))


def _offsets(parts: Sequence[Any]) -> pa.Buffer:
    ends = [0, *accumulate(map(len, parts))]
    if ends[-1] > _MOST_BYTES:
        raise OverflowError
    return _buffer(np.array(ends, np.int32))


def _buffer(array: Any) -> pa.Buffer:
    return pa.py_buffer(array.tobytes())
