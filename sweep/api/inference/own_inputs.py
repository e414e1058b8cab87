"""Inputs of a person's own for `sweep exec`: arrays of a file, a picture, or a fill. Checked before code is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.datasets.pictures import pixels_of
from sweep.errors import StudyError
from sweep.files.npz import load_arrays
from sweep.study.datasets import PICTURES
from sweep.suggestions import hint, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FILLS", "RECIPES", "OwnInputs"]

FILLS = ("zeros", "ones", "random")
RECIPES: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]] | None] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "bytes": None,
}
"""Name -> mean and deviation of each channel after a division by 255; None: the bytes as they are. The picture is first
scaled so that it covers the network's height and width, and cut to these around its middle."""
_OPTION = "--input"


@dataclass(frozen=True, slots=True)
class OwnInputs:
    """What was asked for."""

    file: Path | None = None
    fill: str | None = None
    """For inputs that the file does not have: zeros, ones or random."""
    recipe: str = "imagenet"
    """How a picture becomes an array."""

    def arrays(self, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        """One for each input, in their order. wanted: `shape` and `dtype` by name.

        Raises StudyError about the first thing that does not belong.
        """
        for option, value, known in (("--fill", self.fill, FILLS), ("--preprocess", self.recipe, tuple(RECIPES))):
            if value is not None and value not in known:
                raise StudyError(f"is not known{hint(value, known)}", key=option, value=value, allowed=listed(known))
        given = {} if self.file is None else self._read(self.file, wanted)
        missing = [name for name in wanted if name not in given]
        if missing and self.fill is None:
            allowed = f"all of {listed(wanted)}, or --fill {', '.join(FILLS)} for the others"
            raise StudyError("has not every input", file=self.file, key=_OPTION, value=listed(given), allowed=allowed)
        return {name: given[name] if name in given else self._filled(name, wanted[name]) for name in wanted}

    def _filled(self, name: str, about: Mapping[str, Any]) -> NDArray[Any]:
        import numpy as np

        from sweep.toolchain.models.input_values import Values

        generator = np.random.default_rng(0)
        return Values(str(self.fill)).draw(name, np.dtype(about["dtype"]), tuple(about["shape"]), generator)

    def _read(self, path: Path, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        if path.suffix.lower() in PICTURES:
            return _of_picture(path, wanted, RECIPES[self.recipe])
        try:
            arrays = load_arrays(path)
        except OSError as error:
            raise StudyError(f"cannot be read: {error.strerror}", key=_OPTION, value=str(path)) from None
        except ValueError:
            allowed = f"what numpy.savez writes, or a picture ({listed(PICTURES)})"
            raise StudyError(
                "is no .npz file, or a damaged one", key=_OPTION, value=str(path), allowed=allowed
            ) from None
        for name, array in arrays.items():
            if name not in wanted:
                problem = f"is no input of the network{hint(name, wanted)}"
                raise StudyError(problem, file=path, key=name, value=name, allowed=listed(wanted))
            about = wanted[name]
            found, takes = (f"{kind} {list(shape)}" for kind, shape in (_kind(array), (about["dtype"], about["shape"])))
            if found != takes:
                raise StudyError("does not fit the network", file=path, key=name, value=found, allowed=takes)
        return arrays


def _kind(array: NDArray[Any]) -> tuple[str, list[int]]:
    return str(array.dtype), list(array.shape)


def _of_picture(
    path: Path, wanted: Mapping[str, Mapping[str, Any]], recipe: tuple[tuple[float, ...], tuple[float, ...]] | None
) -> dict[str, NDArray[Any]]:
    """For the one input that takes pictures: [1, 3, H, W] or [1, H, W, 3]."""
    import numpy as np

    takers = [
        name
        for name, about in wanted.items()
        if len(about["shape"]) == 4 and 3 in (about["shape"][1], about["shape"][3])
    ]
    if len(takers) != 1 or wanted[takers[0]]["shape"][0] != 1:
        shown = listed(f"{name}: {about['dtype']} {list(about['shape'])}" for name, about in wanted.items())
        allowed = f"an .npz file for a network that takes {shown}; a picture for one input [1, 3, H, W] or [1, H, W, 3]"
        raise StudyError("is a picture", key=_OPTION, value=str(path), allowed=allowed)
    [name] = takers
    shape, dtype = list(wanted[name]["shape"]), np.dtype(wanted[name]["dtype"])
    _check_recipe(name, dtype, is_scaled=recipe is not None)
    is_channels_first = shape[1] == 3
    height, width = shape[2:] if is_channels_first else shape[1:3]
    pixels = pixels_of(path, covering=(height, width), key=_OPTION).astype("float64")
    if recipe is not None:
        mean, deviation = (np.array(values, "float64") for values in recipe)
        pixels = (pixels / 255.0 - mean) / deviation
    array = pixels.transpose(2, 0, 1) if is_channels_first else pixels
    return {name: np.ascontiguousarray(array[None]).astype(dtype)}


def _check_recipe(name: str, dtype: Any, *, is_scaled: bool) -> None:
    """Fractions below 0 and above 1, or bytes above 127, would become other numbers in an input that has none."""
    import numpy as np

    if is_scaled and dtype.kind in "iub":
        fits = "bytes" if np.can_cast("uint8", dtype) else "an .npz file"
        raise StudyError(f"gives fractions, and the input {name} takes {dtype}", key="--preprocess", allowed=fits)
    if not np.can_cast("uint8", dtype):
        problem = f"gives 0 to 255, and the input {name} takes {dtype}"
        raise StudyError(problem, key="--preprocess", value="bytes", allowed="an .npz file")
