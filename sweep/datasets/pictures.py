"""Pixels of a picture file, upright. The one place that reads pictures, for data sets and for a person's own input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import StudyError
from sweep.study.datasets import PICTURES
from sweep.suggestions import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cover", "pixels_of"]

Box = tuple[int, int]


def pixels_of(path: Path, *, is_grey: bool = False, covering: Box | None = None, key: str = "") -> NDArray[Any]:
    """[height, width, channels] of bytes: three channels, or one.

    covering: height and width that it is scaled to cover, and cut to around its middle. key: of the option or the study
    that names it. Raises StudyError where it is no picture, or Pillow is missing.
    """
    import numpy as np

    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        allowed = "`pip install pillow`, or an .npz file"
        problem = "is a picture, which takes Pillow to read"
        raise StudyError(problem, key=key, value=str(path), allowed=allowed) from error
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)  # cameras store a picture as the sensor lay
            picture = upright.convert("L" if is_grey else "RGB")
            if covering is not None:
                picture = ImageOps.fit(picture, (covering[1], covering[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, "uint8")
            return pixels[:, :, None] if is_grey else pixels
    except Exception as error:  # a damaged picture has its decoder raise whatever it comes to
        problem = f"cannot be read: {getattr(error, 'strerror', None) or 'it is no picture, or a damaged one'}"
        raise StudyError(problem, key=key, value=str(path), allowed=f"a picture ({listed(PICTURES)})") from error


def cover(values: NDArray[Any], size: Box) -> NDArray[Any]:
    """[height, width, channels] scaled to a size, bilinear, each channel by itself and in its own number type."""
    import numpy as np
    from PIL import Image

    height, width = size
    scaled = [
        np.asarray(
            Image.fromarray(channel.astype("float32")).resize((width, height), Image.Resampling.BILINEAR), "float32"
        )
        for channel in np.moveaxis(values, -1, 0)
    ]
    return np.stack(scaled, axis=-1)
