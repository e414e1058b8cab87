"""What a data set holds, found without reading its samples: how many there are of each class, and of what shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.datasets.pictures import pixels_of
from sweep.datasets.reading import Wanted, chosen_samples, listed_pictures
from sweep.errors import StudyError
from sweep.files.npz import array_headers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BUILT_IN", "Outline", "outline_of"]

BUILT_IN: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "digits": ((8, 8), (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)),
    "iris": ((4,), (50, 50, 50)),
    "wine": ((13,), (59, 71, 48)),
    "breast_cancer": ((30,), (212, 357)),
}
"""Of scikit-learn's: the shape of a sample, and how many there are of each class. Loading takes longer than a plan."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A data set, but for its samples."""

    options: Mapping[str, Any]
    labels: Mapping[str, NDArray[Any]]
    """[samples], by the part of the file that they are of; all are in `all` where it has no parts."""
    sample: NDArray[Any]
    """[1, ...]: one of the shape and the number type of the others, before any preprocessing."""

    def count(self, wanted: Wanted) -> int:
        """How many samples there are of a split and of some classes."""
        return sum(map(len, self._chosen(wanted)))

    def classes(self, split: str) -> Sequence[int]:
        """Those of which a split has a sample, rising."""
        return sorted({int(label) for labels in self._chosen(Wanted(split)) for label in set(labels.tolist())})

    def _chosen(self, wanted: Wanted) -> Sequence[NDArray[Any]]:
        """The labels of what is wanted, by the part of the file."""
        whole = self.labels.get("all")
        if whole is not None:
            return [whole[chosen_samples(whole, self.options, wanted)]]
        parts = [labels for name, labels in self.labels.items() if wanted.split in (name, "all")]
        return [labels[chosen_samples(labels, {}, wanted)] for labels in parts]


def outline_of(options: Mapping[str, Any], files: Mapping[str, str]) -> Outline:
    """Of the options and files of a `sweep.study.datasets.Dataset`. Raises StudyError for files that cannot be read."""
    import numpy as np

    kind = options["of"]
    if kind == "sklearn":
        shape, counts = BUILT_IN[options["name"]]
        return Outline(options, {"all": np.repeat(np.arange(len(counts)), counts)}, np.ones((1, *shape)))
    if kind == "images":
        folder = Path(files["images"])
        names, labels, _ = listed_pictures(folder, files.get("labels"))
        missing = next((name for name in names if not (folder / name).is_file()), None)
        if missing is not None:
            raise StudyError("labels a picture that is not there", key="labels", value=missing, allowed=str(folder))
        is_grey = options.get("preprocess", {}).get("colour") == "grey"
        pixels = pixels_of(folder / names[0], is_grey=is_grey, covering=None, key="images")
        return Outline(options, {"all": labels}, pixels[None])
    return _of_arrays(options, Path(files["npz"]))


def _of_arrays(options: Mapping[str, Any], path: Path) -> Outline:
    import numpy as np

    try:
        headers = array_headers(path)
        with np.load(path, allow_pickle=False) as stored:
            labels = {part: stored[names[1]].reshape(-1) for part, names in options["arrays"].items()}
        samples, _ = next(iter(options["arrays"].values()))
        shape, dtype = headers[samples]
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"cannot be read: {error}", key="npz", value=str(path)) from None
    return Outline(options, labels, np.ones((1, *shape[1:]), np.dtype(dtype)))
