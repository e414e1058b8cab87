"""Arrays by name in one file, numpy's .npz, whatever the names are.

numpy's own function takes the names as arguments beside its own: an array called `file` or `allow_pickle`, as inputs of
networks are, it refuses or drops. Its reader takes `x.npy` for `x` where there are both.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sweep.files.unpacked_size import check_unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_headers", "load_arrays", "save_arrays"]

T = TypeVar("T")


def array_headers(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and number type of each array of a file, without its content. Raises as `load_arrays`."""
    return {name: header for name, (header, _) in _each(path, _header).items()}


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays, in their order; not compressed, as `numpy.savez` does it. Raises OSError."""
    import numpy as np

    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, in their order.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, a damaged one, or holds objects.
    """
    import numpy as np

    for name, ((shape, dtype), size) in _each(path, _header).items():
        if math.prod(shape) * np.dtype(dtype).itemsize > size:  # else it would be made room for first
            raise ValueError(f"{path} holds what is no plain array: {name} is shorter than its shape {shape}")
    return {name: array for name, (array, _) in _each(path, _array).items()}


def _array(stream: Any) -> NDArray[Any]:
    import numpy as np

    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _header(stream: Any) -> tuple[tuple[int, ...], str]:
    import numpy as np

    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("objects, which take pickle to read")
    return tuple(int(size) for size in shape), str(dtype)


def _each(path: Path, read: Callable[[Any], T]) -> dict[str, tuple[T, int]]:
    """What `read` makes of each member, and how many bytes it has unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_unpacked(archive)
            found = {}
            for member in archive.infolist():
                with archive.open(member) as stream:
                    found[member.filename.removesuffix(".npy")] = read(stream), member.file_size
            return found
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path} is no .npz file, or a damaged one: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} holds what is no plain array: {error}") from error
