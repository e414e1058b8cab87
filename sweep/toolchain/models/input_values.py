"""What the inputs of a network hold when its outputs are compared: a person's arrays, ranges and fills, or made-up
values that the network can take. From the seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed
from sweep.files.npz import load_arrays

__all__ = ["Values", "read_values"]

_Array = npt.NDArray[Any]

_INTEGERS_BELOW = 8
"""Integer inputs are indices more often than not: small ones stay inside most tables."""


@dataclass(frozen=True, slots=True)
class Values:
    """What an input holds."""

    fill: str = "random"
    """zeros, ones or random."""
    limits: tuple[float, float] | None = None
    """Of random values: from the first up to and without the second; None: standard normal for floats, 0 to 7 for
    integers."""
    array: _Array | None = None
    """Exactly this."""

    def draw(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], generator: np.random.Generator) -> _Array:
        """An array of these. Raises ImportFailed where a person's array has another shape or type."""
        if self.array is not None:
            if self.array.shape != shape or self.array.dtype != dtype:
                found, wanted = (
                    f"{kind} {list(size)}" for kind, size in ((self.array.dtype, self.array.shape), (dtype, shape))
                )
                raise ImportFailed(f"inputs: the array for {name!r} is {found}, and the network takes {wanted}")
            return self.array
        if self.fill != "random":
            return np.full(shape, self.fill == "ones", dtype)
        if dtype == np.bool_:
            return generator.integers(0, 2, shape).astype(dtype)
        if np.issubdtype(dtype, np.integer):
            low, high = self.limits or (0, _INTEGERS_BELOW)
            return generator.integers(int(low), int(high), shape, dtype=dtype if self.limits else np.int64).astype(
                dtype
            )
        if self.limits is None:
            return generator.standard_normal(shape).astype(dtype)
        return generator.uniform(*self.limits, shape).astype(dtype)


def read_values(options: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]) -> dict[str, Values]:
    """A person's, by input. options: of the import, as a study's gate has them. files: with arrays, by input.

    Raises ImportFailed where a file cannot be read.
    """
    return {name: _values(name, entry, files) for name, entry in options.items()}


def _values(name: str, entry: Mapping[str, Any], files: Mapping[str, str]) -> Values:
    if "npz" in entry:
        path = Path(files[name])
        try:
            return Values(array=load_arrays(path)[entry.get("array", name)])
        except (OSError, ValueError, KeyError) as error:
            raise ImportFailed(f"inputs: the array for {name!r} cannot be read from {path}: {error}") from error
    if "range" in entry:
        low, high = entry["range"]
        return Values(limits=(low, high))
    return Values(fill=str(entry["fill"]))
