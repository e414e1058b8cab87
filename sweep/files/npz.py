"""Arrays by name in one file, numpy's .npz, whatever the names are.

numpy's own function takes the names as arguments beside its own: an array called `file` or `allow_pickle`, as inputs of
networks are, it refuses or drops. Its reader takes `x.npy` for `x` where there are both.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_arrays", "save_arrays"]


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

    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {}
            for member in archive.namelist():
                with archive.open(member) as stream:
                    arrays[member.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
            return arrays
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is no .npz file, or a damaged one: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} holds what is no plain array: {error}") from error
