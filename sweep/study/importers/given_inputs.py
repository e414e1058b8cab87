"""The values that a person gives for a network's inputs, checked against what its header declares: an array of a file,
a range, or a fill.

Made-up values will not do for all inputs: a token id outside its table reads memory that is not its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sweep.files.npz import array_headers
from sweep.study.importers.importer import ModelInput, WrittenModel, hash_of
from sweep.suggestions import hint, listed

__all__ = ["GivenInput", "WrittenInput", "given_inputs"]

_LIMITS = {
    f"{sign}int{bits}": (0 if sign else -(1 << (bits - 1)), 1 << (bits if sign else bits - 1))
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
"""By number type: the least value, and the first that is too large."""


class WrittenInput(Protocol):
    """What a study says of an input, where that is more than a shape."""

    @property
    def shape(self) -> Sequence[int] | None:
        """Where it says another than the file."""

    @property
    def npz(self) -> str | None:
        """The file with its array."""

    @property
    def array(self) -> str | None:
        """The array's name there."""

    @property
    def range(self) -> Sequence[float] | None:
        """Of random values: two."""

    @property
    def fill(self) -> str | None:
        """zeros, ones or random."""


@dataclass(frozen=True, slots=True)
class GivenInput:
    """The values of an input."""

    values: Mapping[str, Any]
    """As the options of an import have them: `{"fill": "zeros"}`, `{"range": [0, 2]}`, or `{"npz": SHA256, "array":
    NAME}`; empty where only its shape is given."""
    file: Path | None = None
    """Where the array is."""
    source: str = ""
    """The file as it is written."""
    shape: tuple[int, ...] | None = None
    """None where nothing says another than the file's."""


def given_inputs(
    inputs: Mapping[str, WrittenInput], declared: Sequence[ModelInput] | None, written: WrittenModel
) -> dict[str, GivenInput]:
    """By input. written: with the key of the model's `inputs`. Raises StudyError."""
    known = None if declared is None else {one.name: one for one in declared}
    found = {}
    for name, entry in inputs.items():
        at = replace(written, key=f"{written.key}.{name}")
        if known is not None and name not in known:
            raise at.refused(f"is no input of the network{hint(name, known)}", listed(known), name)
        dtype = None if known is None else known[name].dtype
        shape = None if entry.shape is None else tuple(entry.shape)
        if entry.npz is not None:
            found[name] = _array(name, entry, None if known is None else known[name], at)
        elif entry.range is not None:
            found[name] = GivenInput({"range": _range(entry.range, dtype, at)}, shape=shape)
        else:
            found[name] = GivenInput({} if entry.fill is None else {"fill": entry.fill}, shape=shape)
    return found


def _range(limits: Sequence[float], dtype: str | None, at: WrittenModel) -> list[int | float]:
    low, high = limits
    at = replace(at, key=f"{at.key}.range")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise at.refused("is no range", "[FROM, TO], from the first up to and without the second", [low, high])
    if dtype == "bool":
        raise at.refused("is given to a boolean input", "fill: zeros, ones or random", [low, high])
    whole = float(low).is_integer() and float(high).is_integer()
    if dtype in _LIMITS:
        least, beyond = _LIMITS[dtype]
        if not whole or low < least or high > beyond:
            raise at.refused(f"does not fit {dtype}", f"whole numbers from {least} to {beyond}", [low, high])
    return [int(low), int(high)] if whole else [low, high]


def _array(name: str, entry: WrittenInput, declared: ModelInput | None, at: WrittenModel) -> GivenInput:
    file_at = replace(at, key=f"{at.key}.npz", source=str(entry.npz))
    path = at.study_file.parent / Path(str(entry.npz)).expanduser()
    try:
        headers = array_headers(path)
    except OSError as error:
        raise file_at.refused(f"cannot be read: {error.strerror}", f"a file ({path.absolute()})") from None
    except ValueError as error:
        raise file_at.refused("is no .npz file, or a damaged one", "what numpy.savez writes") from error
    wanted = entry.array or name
    if wanted not in headers:
        allowed = f"array: one of {listed(headers)}"
        raise file_at.refused(f"has no array {wanted!r}{hint(wanted, headers)}", allowed)
    shape, dtype = headers[wanted]
    if declared is not None:
        _check_type(declared, shape, dtype, wanted, file_at)
    options = {"npz": hash_of([path], file_at), **({} if wanted == name else {"array": wanted})}
    return GivenInput(options, path.absolute(), str(entry.npz), shape)


def _check_type(declared: ModelInput, shape: tuple[int, ...], dtype: str, wanted: str, at: WrittenModel) -> None:
    if declared.dtype is not None and dtype != declared.dtype:
        raise at.refused(f"has {wanted!r} as {dtype}: the input {declared.name!r} takes another type", declared.dtype)
    own = declared.shape
    if own is None:
        return
    if len(own) != len(shape) or any(
        isinstance(size, int) and size != there and index > 0
        for index, (size, there) in enumerate(zip(own, shape, strict=True))
    ):
        takes = f"[{', '.join(map(str, own))}]"
        raise at.refused(f"has {wanted!r} of shape {list(shape)}: the input {declared.name!r} takes another", takes)
