"""Arrays by name in one file, numpy's .npz, whatever the names are.

numpy's own function takes the names as arguments beside its own: an array called `file` or `allow_pickle`, as inputs of
networks are, it refuses or drops. Its reader takes `x.npy` for `x` where there are both.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_headers", "load_arrays", "save_arrays"]

T = TypeVar("T")


def array_headers(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and number type of each array of a file, without its content. Raises as `load_arrays`."""
    import numpy as np

    def header(stream: Any) -> tuple[tuple[int, ...], str]:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype.hasobject:
            raise ValueError("objects")
        return tuple(int(size) for size in shape), str(dtype)

    return _each(path, header)


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

    return _each(path, lambda stream: np.lib.format.read_array(stream, allow_pickle=False))


def _each(path: Path, read: Callable[[Any], T]) -> dict[str, T]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for member in archive.namelist():
                with archive.open(member) as stream:
                    found[member.removesuffix(".npy")] = read(stream)
            return found
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is no .npz file, or a damaged one: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} holds what is no plain array: {error}") from error
