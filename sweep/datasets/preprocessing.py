"""The steps of a preprocessing recipe on samples, and the form in which a network takes them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.datasets.pictures import cover
from sweep.errors import StudyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NetworkInput", "fitted", "preprocess", "quantised"]


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """What an input of a network takes."""

    shape: Sequence[int]
    """With the batch first, whose size is of no matter."""
    dtype: str = "float32"
    scale: float | None = None
    """Of a quantised input: it stands for `(q - zero_point) * scale`."""
    zero_point: int = 0


def preprocess(samples: NDArray[Any], recipe: Mapping[str, Any], *, is_pictures: bool = False) -> NDArray[Any]:
    """[samples, ...] as the recipe of a data set says (`sweep.study.datasets.PreprocessForm`), without its number type.

    Spatial steps take the last axis for the channels, or none in [samples, height, width]; numbers for each channel
    belong to the last axis, or to the second of four where only that has as many.
    Raises StudyError where a step does not go with the samples.
    """
    import numpy as np

    values = samples
    if recipe.get("resize") is not None or recipe.get("crop") is not None:
        values = np.stack([_spatial(one, recipe) for one in _with_channels(values)])
    divide = recipe.get("divide") or (255.0 if is_pictures else 1.0)
    if divide != 1.0 or recipe.get("mean") or recipe.get("std"):
        values = values.astype("float64") / divide
        for name, step in (("mean", np.subtract), ("std", np.divide)):
            if (numbers := recipe.get(name)) is not None:
                values = step(values, _per_channel(numbers, values, name))
    layout = recipe.get("layout")
    if layout == "flat":
        return values.reshape(len(values), -1)
    if layout is not None:
        values = _with_channels(values)
        values = np.moveaxis(values, -1, 1) if layout == "NCHW" else values
    return values


def _with_channels(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim not in (3, 4):
        raise StudyError(
            "are no pictures, so nothing is cut, scaled or laid out",
            key="preprocess",
            value=f"samples of shape {list(values.shape[1:])}",
            allowed="[height, width] or [height, width, channels]",
        )
    return values[..., None] if values.ndim == 3 else values


def _spatial(sample: NDArray[Any], recipe: Mapping[str, Any]) -> NDArray[Any]:
    """One sample, [height, width, channels]."""
    size, crop = recipe.get("resize"), recipe.get("crop")
    if size is not None:
        height, width = sample.shape[:2]
        if isinstance(size, int):  # the shorter side, as torchvision has it
            short = min(height, width)
            size = [max(size, size * side // short) for side in (height, width)]
        sample = cover(sample, (size[0], size[1]))
    if crop is not None:
        height, width = (crop, crop) if isinstance(crop, int) else crop
        if height > sample.shape[0] or width > sample.shape[1]:
            problem = f"is larger than a sample of {sample.shape[0]} x {sample.shape[1]}"
            raise StudyError(problem, key="preprocess.crop", value=crop, allowed="no more than that, or a resize")
        top, left = (sample.shape[0] - height) // 2, (sample.shape[1] - width) // 2
        sample = sample[top : top + height, left : left + width]
    return sample


def _per_channel(numbers: Sequence[float], values: NDArray[Any], name: str) -> NDArray[Any]:
    import numpy as np

    if values.ndim == 4 and len(numbers) not in (1, values.shape[-1]) and len(numbers) == values.shape[1]:
        return np.asarray(numbers, "float64")[:, None, None]
    if len(numbers) not in (1, values.shape[-1]):
        allowed = f"one number, or {values.shape[-1]}: the last size of a sample {list(values.shape[1:])}"
        raise StudyError("does not go with the samples", key=f"preprocess.{name}", value=list(numbers), allowed=allowed)
    return np.asarray(numbers, "float64")


def fitted(samples: NDArray[Any], wanted: NetworkInput, dtype: str | None = None) -> NDArray[Any]:
    """Samples in the shape and the number type of a network's input; quantised where that says how.

    Sizes of 1 come and go; pictures with channels behind go before where the network has them there; all else keeps its
    order. dtype: of the recipe, which must be the network's. Raises StudyError where the samples do not fit.
    """
    import numpy as np

    shape = tuple(int(size) for size in wanted.shape[1:])
    values = _reshaped(samples, shape)
    if values is None:
        raise StudyError(
            "do not fit the network",
            key="preprocess",
            value=f"samples of shape {list(samples.shape[1:])}",
            allowed=f"what its input takes, {list(shape)} for each sample",
        )
    if dtype is not None and dtype != wanted.dtype:
        raise StudyError("is not what the network takes", key="preprocess.dtype", value=dtype, allowed=wanted.dtype)
    target = np.dtype(wanted.dtype)
    if target.kind in "iu" and values.dtype.kind == "f" and not np.isfinite(values).all():
        allowed = f"samples without nan and inf, since the network takes {target}"
        raise StudyError("gives what is no finite number", key="preprocess", allowed=allowed)
    if dtype is None and wanted.scale is not None:
        return quantised(values, wanted.scale, wanted.zero_point, wanted.dtype)
    if target.kind in "iu" and values.dtype.kind == "f" and not np.array_equal(values, np.trunc(values)):
        allowed = "a recipe that leaves whole numbers, as `preprocess: {divide: 1}`"
        raise StudyError(f"gives fractions, and the network takes {target}", key="preprocess", allowed=allowed)
    if target.kind in "iu" and values.size and not _holds(target, values):
        problem, found = f"gives what {target} does not hold", f"{values.min():g} to {values.max():g}"
        raise StudyError(problem, key="preprocess", value=found, allowed=f"numbers of {target}")
    return np.ascontiguousarray(values.astype(target))


def _holds(dtype: Any, values: NDArray[Any]) -> bool:
    import numpy as np

    limits = np.iinfo(dtype)
    return bool(values.min() >= limits.min and values.max() <= limits.max)


def _reshaped(samples: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """None where no order of the samples is the network's."""
    import numpy as np

    own = samples.shape[1:]
    if own == shape:
        return samples
    if math.prod(own) != math.prod(shape):
        return None
    significant = [size for size in own if size != 1]
    if len(shape) == 1 or significant == [size for size in shape if size != 1] or len(own) == 1:
        return samples.reshape(len(samples), *shape)
    if len(own) == len(shape) == 3 and (own[2], own[0], own[1]) == shape:
        return np.moveaxis(samples, -1, 1)
    return None


def quantised(values: NDArray[Any], scale: float, zero_point: int, dtype: str) -> NDArray[Any]:
    """`clip(round(x / scale) + zero_point)` into the range of an integer type."""
    import numpy as np

    limits = np.iinfo(dtype)
    steps = np.round(values.astype("float64") / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)
