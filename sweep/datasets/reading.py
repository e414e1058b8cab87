"""Reads the samples of a data set: seeded, split, preprocessed, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.datasets.pictures import pixels_of
from sweep.datasets.preprocessing import NetworkInput, fitted, preprocess
from sweep.datasets.unchanged import check_unchanged
from sweep.errors import StudyError
from sweep.files.npz import load_arrays
from sweep.study.datasets import PICTURES, pictures_in
from sweep.suggestions import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Samples", "Wanted", "chosen_samples", "listed_pictures", "read_samples"]

_SHAPING = ("resize", "crop")
"""Steps that pictures of several sizes go through one by one, before they are one array."""
_DIGITS = 20
_MOST = (1 << 31) - 1
"""Classes are kept as numbers of 32 bits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which samples of a data set."""

    split: str = "test"
    """`test`, those that are kept for evaluating; `train`, the others; `all`. One that keeps none apart has all in
    each."""
    count: int | None = None
    """At most so many, drawn by the seed without repetition; None: all, in their order."""
    seed: int = 0
    classes: Sequence[int] = ()
    """Of these classes alone; empty: of all."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs with their classes."""

    inputs: NDArray[Any]
    """[samples, ...]."""
    labels: NDArray[Any]
    """[samples], whole numbers from 0 on."""
    classes: Sequence[str] = ()
    """The name of each class, by its number; empty where the data set names none."""

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int, *, pads: bool = False) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Inputs and labels, `size` at a time and fewer in the end.

        pads: whether a last batch of fewer repeats its last input until it is full, for a network of a fixed batch;
        there are only so many labels as samples.
        """
        import numpy as np

        for start in range(0, len(self), size):
            inputs, labels = self.inputs[start : start + size], self.labels[start : start + size]
            if pads and len(inputs) < size:
                inputs = np.concatenate([inputs, np.repeat(inputs[-1:], size - len(inputs), axis=0)])
            yield inputs, labels


def read_samples(
    options: Mapping[str, Any], files: Mapping[str, str], wanted: Wanted, network: NetworkInput | None = None
) -> Samples:
    """Samples of a data set (`sweep.study.datasets.Dataset` has its options and files), preprocessed.

    network: the input that they are for, whose shape and number type they get; None: float32, shaped as the recipe
    leaves them. Raises StudyError where a file is not what it was, or does not go with the network.
    """
    import numpy as np

    check_unchanged(options, files)
    recipe = options.get("preprocess", {})
    kind = options["of"]
    if kind == "images":
        names, labels, classes = listed_pictures(Path(files["images"]), files.get("labels"))
        chosen = chosen_samples(labels, options, wanted)
        raw = _read_pictures(Path(files["images"]), [names[index] for index in chosen], recipe, network)
        values = preprocess(raw, _after_shaping(recipe), is_pictures=True)
    else:
        raw, labels, classes, fixed = _arrays(options, files, wanted.split)
        chosen = chosen_samples(labels, {} if fixed else options, wanted)
        values = preprocess(raw[chosen], recipe)
    if len(chosen) and (least := int(labels[chosen].min())) < 0:
        raise StudyError("has a class below 0", key="labels", value=least, allowed="classes from 0 on")
    if network is None:
        return Samples(np.ascontiguousarray(values.astype(recipe.get("dtype", "float32"))), labels[chosen], classes)
    return Samples(fitted(values, network, recipe.get("dtype")), labels[chosen], classes)


def chosen_samples(labels: NDArray[Any], options: Mapping[str, Any], wanted: Wanted) -> NDArray[Any]:
    """Indices of the samples that are wanted, rising."""
    import numpy as np

    indices = np.arange(len(labels))
    if wanted.split != "all" and (share := options.get("test")) is not None:
        held_out = _held_out(labels, float(share), int(options.get("seed", 0)))
        indices = indices[held_out == (wanted.split == "test")]
    if wanted.classes:
        indices = indices[np.isin(labels[indices], list(wanted.classes))]
    if wanted.count is not None and wanted.count < len(indices):
        indices = np.sort(np.random.default_rng(wanted.seed).choice(indices, wanted.count, replace=False))
    return indices


def _held_out(labels: NDArray[Any], share: float, seed: int) -> NDArray[Any]:
    """Whether each sample is kept for evaluating: that share of each class, drawn by the seed."""
    import numpy as np

    generator, held_out = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        held_out[generator.permutation(of_class)[: round(share * len(of_class))]] = True
    return held_out


def _arrays(
    options: Mapping[str, Any], files: Mapping[str, str], split: str
) -> tuple[NDArray[Any], NDArray[Any], Sequence[str], bool]:
    """Samples, labels, names of the classes, and whether the file says itself which are kept for evaluating."""
    import numpy as np

    if options["of"] == "sklearn":
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{options['name']}")()
        images = bunch.images if "images" in bunch else bunch.data
        return images, bunch.target.astype("int64"), [str(name) for name in bunch.target_names], False
    path = Path(files["npz"])
    try:
        stored = load_arrays(path)
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot be read: {error}", key="npz", value=str(path)) from None
    parts = options["arrays"]
    try:
        chosen = [parts["all"]] if "all" in parts else [parts[name] for name in parts if split in (name, "all")]
        samples = np.concatenate([stored[names[0]] for names in chosen])
        labels = np.concatenate([stored[names[1]].reshape(-1) for names in chosen]).astype("int64")
    except KeyError as error:
        raise StudyError(f"has no array {error} any more", key="npz", value=str(path), allowed=listed(stored)) from None
    return samples, labels, (), "all" not in parts


def listed_pictures(folder: Path, labels: str | None) -> tuple[list[str], NDArray[Any], Sequence[str]]:
    """Names of the pictures in the folder, the class of each, and the names of the classes."""
    import numpy as np

    if labels is None:
        names = [path.relative_to(folder).as_posix() for path in pictures_in(folder)]
        said = [name.partition("/")[0] for name in names]
    else:
        names, said = _labelled(Path(labels))
    if all(text.isdecimal() for text in said):
        longest = max(said, key=len)
        numbers = [int(text) for text in said] if len(longest) < _DIGITS else [_MOST + 1]
        if max(numbers) > _MOST:
            shown = f"{longest[:_DIGITS]}..." if len(longest) >= _DIGITS else max(numbers)
            raise StudyError("has too high a class", key="labels", value=shown, allowed=f"at most {_MOST}")
        return names, np.array(numbers, "int64"), ()
    classes = sorted(set(said))
    at = {name: index for index, name in enumerate(classes)}
    return names, np.array([at[text] for text in said], "int64"), classes


def _labelled(path: Path) -> tuple[list[str], list[str]]:
    """What a text file says: a picture's name and its class a line, a comma or white space between."""
    names, said = [], []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"cannot be read: {error}", key="labels", value=str(path)) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, comma, label = line.strip().rpartition(",")
        if not comma:
            name, _, label = line.strip().rpartition(" ")
        if not name.strip() or not label.strip():
            allowed = "a picture's name and its class, as `cat.png,3`"
            raise StudyError(f"says no class in line {number}", key="labels", value=line[:80], allowed=allowed)
        names.append(name.strip())
        said.append(label.strip())
    if not names:
        raise StudyError("labels no picture", key="labels", value=str(path), allowed="a line for each picture")
    return names, said


def _read_pictures(
    folder: Path, names: Sequence[str], recipe: Mapping[str, Any], network: NetworkInput | None
) -> NDArray[Any]:
    """[pictures, height, width, channels]: of one size, by the recipe, or as the network takes them."""
    import numpy as np

    is_grey = recipe.get("colour") == "grey"
    is_shaped = not recipe.keys().isdisjoint(_SHAPING)
    covering = None if is_shaped or network is None else _sides(network)
    steps = {name: recipe[name] for name in _SHAPING if name in recipe}
    pictures = []
    for name in names:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise StudyError("lies outside the folder of pictures", key="labels", value=name, allowed=str(folder))
        if path.suffix.lower() not in PICTURES:  # of which the data set's hash knows nothing
            raise StudyError("is no picture that is read", key="labels", value=name, allowed=listed(PICTURES))
        pixels = pixels_of(path, is_grey=is_grey, covering=covering, key="images")
        pictures.append(preprocess(pixels[None], {**steps, "divide": 1.0})[0] if is_shaped else pixels)
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1:
        few = ", ".join(f"{size[0]} x {size[1]}" for size in sorted(sizes)[:3])
        allowed = "`preprocess: {resize: [HEIGHT, WIDTH]}`"
        raise StudyError("holds pictures of several sizes", key="images", value=few, allowed=allowed)
    return np.stack(pictures)


def _after_shaping(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name not in _SHAPING}


def _sides(network: NetworkInput) -> tuple[int, int] | None:
    """Height and width of an input that takes pictures."""
    if len(network.shape) != 4:
        return None
    channels_first = network.shape[1] in (1, 3)
    height, width = network.shape[2:] if channels_first else network.shape[1:3]
    return int(height), int(width)
