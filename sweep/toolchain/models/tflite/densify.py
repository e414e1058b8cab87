"""The dense values of a tensor that a TFLite file stores without its zeros.

The file has dimensions in an order of traversal, of which those after the tensor's own are blocks of one of these. Each
is dense, with its size, or sparse: with the indices that occur, and where those of each element before begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from sweep.errors import ImportFailed

__all__ = ["dense"]

_VECTORS = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}
"""By the number of a `SparseIndexVector`."""

_Ints = npt.NDArray[np.int64]


def dense(tensor: Any, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The whole tensor. values: those that are stored, in order. Raises ImportFailed where they do not fit it."""
    sparsity = tensor.Sparsity()
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy())
    order = _ints(sparsity.TraversalOrderAsNumpy())
    blocks = _ints(sparsity.BlockMapAsNumpy())
    if sorted(order) != list(range(len(shape) + len(blocks))) or sparsity.DimMetadataLength() != len(order):
        raise ImportFailed("a sparse tensor has other dimensions than its order of traversal")
    places: list[_Ints] = []
    count = 1
    sizes = {}
    for level, dimension in enumerate(order):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == 0:
            size = sizes[int(dimension)] = int(metadata.DenseSize())
            _check_count(count * size, values)
            places = [np.repeat(place, size) for place in places]
            places.append(np.tile(np.arange(size), count))
        else:
            starts = _vector(metadata.ArraySegments(), metadata.ArraySegmentsType())
            indices = _vector(metadata.ArrayIndices(), metadata.ArrayIndicesType())
            lengths = np.diff(starts)
            if len(lengths) != count or (lengths < 0).any() or starts[0] != 0 or starts[-1] != len(indices):
                raise ImportFailed("a sparse tensor has indices that do not fit its dimensions")
            places = [np.repeat(place, lengths) for place in places]
            places.append(indices)
        count = len(places[-1])
    return _placed(values, shape, dict(zip(map(int, order), places, strict=True)), blocks, sizes)


def _placed(
    values: npt.NDArray[Any], shape: tuple[int, ...], places: dict[int, _Ints], blocks: _Ints, sizes: dict[int, int]
) -> npt.NDArray[Any]:
    """The values where their indices say. places: by dimension, the index of each value."""
    if any(len(place) != len(values) for place in places.values()):
        raise ImportFailed(f"a sparse tensor has {len(values)} values for its indices")
    whole = {dimension: places[dimension] for dimension in range(len(shape))}
    for number, dimension in enumerate(map(int, blocks)):
        block = len(shape) + number
        if dimension not in whole or block not in sizes:
            raise ImportFailed("a sparse tensor has blocks of no size")
        whole[dimension] = whole[dimension] * sizes[block] + places[block]
    if any((place < 0).any() or (place >= size).any() for place, size in zip(whole.values(), shape, strict=True)):
        raise ImportFailed("a sparse tensor has an index outside its shape")
    result = np.zeros(shape, values.dtype)
    result[tuple(whole.values())] = values
    return result


def _check_count(count: int, values: npt.NDArray[Any]) -> None:
    if count > max(1, values.size):  # else a size that is made up takes all memory
        raise ImportFailed(f"a sparse tensor has {values.size} values for its indices")


def _vector(table: Any, kind: int) -> _Ints:
    if table is None or kind not in _VECTORS:
        raise ImportFailed("a sparse tensor has no indices")
    vector = _VECTORS[kind]()
    vector.Init(table.Bytes, table.Pos)
    return _ints(vector.ValuesAsNumpy())


def _ints(numbers: Any) -> _Ints:
    """No vector at all is 0 to the flatbuffer's library."""
    return np.asarray(numbers if isinstance(numbers, np.ndarray) else [], np.int64)
