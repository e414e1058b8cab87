"""Labelled samples that a study names: what it says of each, checked, with the hash of its files. Reads no sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweep.errors import StudyError
from sweep.files.npz import array_headers
from sweep.study.importers.importer import WrittenModel, hash_of, sha256_of
from sweep.study.reading.form import Form, Name, refuse
from sweep.suggestions import hint, listed

__all__ = [
    "BUILT_IN",
    "PICTURES",
    "Dataset",
    "DatasetForm",
    "PreprocessForm",
    "content_of",
    "dataset_named",
    "pictures_in",
    "read_datasets",
]

BUILT_IN = ("digits", "iris", "wine", "breast_cancer")
"""Those that scikit-learn's package holds itself: nothing is fetched."""
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_SAMPLES = ("x", "X", "samples", "data", "images", "inputs")
_LABELS = ("y", "Y", "labels", "targets", "target")
_HELD_OUT = 0.25
_KINDS = ("npz", "images", "sklearn")
_NUMBERS = ("bool", "int", "uint", "float")
_FOREIGN = {"i": "int", "u": "uint", "f": "float"}
"""What numpy calls numbers in the order of bytes that is not this machine's: `>i4`."""


Found = tuple[dict[str, Any], dict[str, str], tuple[str, ...]]
"""Options that tell its content, where its files are, and the packages that read them."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples with their classes."""

    name: str
    options: Mapping[str, Any]
    """What decides its samples, by content and not by place: part of the options of the stages that read it."""
    files: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where its files are on this machine: a hint of these stages."""
    distributions: tuple[str, ...] = ()
    """Packages that hold it or read it."""
    written: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """As the study has it."""


Size = Annotated[int, Field(ge=1, le=1 << 14)]
Sides = Size | Annotated[list[Size], Field(min_length=2, max_length=2)]


class PreprocessForm(Form):
    """How a sample becomes what a network takes: each step that is named, in the order in which they stand here."""

    colour: Literal["rgb", "grey"] | None = Field(None, description="Of pictures: three channels, the default, or one.")
    resize: Sides | None = Field(
        None, description="Bilinear: [HEIGHT, WIDTH], or the shorter side.", examples=[[224, 224], 256]
    )
    crop: Sides | None = Field(
        None, description="Cut around the middle: [HEIGHT, WIDTH], or both sides.", examples=[224]
    )
    divide: float | None = Field(
        None, gt=0, description="What values are divided by first: 255 for pictures, 1 for arrays."
    )
    mean: list[float] | None = Field(
        None, min_length=1, max_length=4096, description="Then subtracted, one for each channel or for all."
    )
    std: list[Annotated[float, Field(gt=0)]] | None = Field(
        None, min_length=1, max_length=4096, description="Then divided by, one for each channel or for all."
    )
    layout: Literal["NCHW", "NHWC", "flat"] | None = Field(
        None,
        description="From height, width, channels to this; by default what the network's input takes, arrays as they "
        "are.",
    )
    dtype: Literal["float32", "float16", "uint8", "int8", "int32", "int64"] | None = Field(
        None, description="The number type; by default the network's, quantised as its input says."
    )


class DatasetForm(Form):
    """Labelled samples: an .npz file, a folder of pictures, or what scikit-learn brings."""

    npz: str | None = Field(None, min_length=1, description="A file with arrays.", examples=["data/digits.npz"])
    images: str | None = Field(
        None,
        min_length=1,
        description="A folder of pictures; without labels, its inner folders are the classes, by name.",
    )
    sklearn: Literal[BUILT_IN] | None = Field(  # type: ignore[valid-type]
        None, description="A data set inside scikit-learn's package."
    )
    samples: str | None = Field(None, min_length=1, description="The samples' array in the npz, by default x or data.")
    labels: str | None = Field(
        None,
        min_length=1,
        description="The labels' array in the npz, by default y or labels; for images, a text file: a picture's name "
        "and its class a line.",
    )
    test: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the samples, of each class, that is kept for evaluating alone; by default a quarter of "
        "scikit-learn's, and none of others, which are evaluated whole. A file may have x_train, y_train, x_test, "
        "y_test instead.",
    )
    seed: int = Field(0, ge=0, le=(1 << 31) - 1, description="Decides which; not the study's, so that it stays.")
    preprocess: PreprocessForm = Field(PreprocessForm(), description="How a sample becomes an input.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> DatasetForm:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            problem = "names nothing to read" if not given else f"does not go with {given[0]}"
            value = getattr(self, given[1]) if given else None
            raise refuse(problem, key=given[1] if given else "", value=value, allowed=f"one of {listed(_KINDS)}")
        if self.npz is None and self.samples is not None:
            raise refuse("names an array of no file", key="samples", value=self.samples, allowed="npz: FILE beside it")
        if self.sklearn is not None and self.labels is not None:
            raise refuse("is known for scikit-learn's", key="labels", value=self.labels, allowed="nothing")
        return self


def dataset_named(datasets: Mapping[str, Dataset], name: str, file: Path, key: str) -> Dataset:
    """The data set that a key of a study names. Raises StudyError."""
    if name not in datasets:
        allowed = listed(datasets) if datasets else "a data set under `datasets:`"
        raise StudyError(f"is no data set{hint(name, datasets)}", file=file, key=key, value=name, allowed=allowed)
    return datasets[name]


def read_datasets(forms: Mapping[Name, DatasetForm], file: Path) -> dict[str, Dataset]:
    """By name. Raises StudyError where there is no such file, or not what it is said to hold."""
    return {name: _read(name, form, WrittenModel(name, file, f"datasets.{name}")) for name, form in forms.items()}


def _read(name: str, form: DatasetForm, at: WrittenModel) -> Dataset:
    kind = next(kind for kind in _KINDS if getattr(form, kind) is not None)
    own, files, packages = _READERS[kind](form, replace(at, key=f"{at.key}.{kind}", source=str(getattr(form, kind))))
    preprocess = form.preprocess.model_dump(exclude_none=True)
    held_out = form.test if form.test is not None else _HELD_OUT if kind == "sklearn" else None
    if held_out is not None and len(own.get("arrays", {})) == 2:
        problem = "is given to a file that has the samples to evaluate apart"
        raise StudyError(problem, file=at.study_file, key=f"{at.key}.test", value=held_out, allowed="no `test:`")
    split = {} if held_out is None else {"test": held_out, "seed": form.seed}
    options = {"of": kind, **own, **split, **({"preprocess": preprocess} if preprocess else {})}
    written = form.model_dump(exclude_none=True, exclude_defaults=True)
    return Dataset(name, options, files, packages, written)


def _npz(form: DatasetForm, at: WrittenModel) -> Found:
    path = _path(at)
    try:
        headers = array_headers(path)
    except OSError as error:
        raise at.refused(f"cannot be read: {error.strerror}", f"a file ({path.absolute()})") from None
    except ValueError as error:
        raise at.refused("is no .npz file, or a damaged one", "what numpy.savez writes") from error
    arrays = {part: [f"x_{part}", f"y_{part}"] for part in ("train", "test")}
    arrays = {part: names for part, names in arrays.items() if all(name in headers for name in names)}
    if form.samples is not None or form.labels is not None or len(arrays) < 2:
        arrays = {"all": [_array(form.samples, _SAMPLES, headers, at), _array(form.labels, _LABELS, headers, at)]}
    for samples, labels in arrays.values():
        (shape, numbers), (lengths, kind) = headers[samples], headers[labels]
        if _kind(numbers) not in _NUMBERS:
            raise at.refused(f"has {samples}: {numbers} {list(shape)}", "samples of numbers")
        if not shape or lengths not in (shape[:1], (*shape[:1], 1)) or _kind(kind) not in ("int", "uint"):
            shown = f"{labels}: {kind} {list(lengths)}"
            raise at.refused(f"has {shown}", f"a whole number for each of {samples}: {list(shape)}")
    return {"sha256": hash_of([path], at), "arrays": arrays}, {"npz": str(path.absolute())}, ("numpy",)


def _kind(dtype: str) -> str:
    """What kind of numbers an array has, of whatever width and order of bytes."""
    kind = dtype.lstrip("<>=|").rstrip("0123456789")
    return _FOREIGN.get(kind, kind)


def _array(asked: str | None, usual: Sequence[str], headers: Mapping[str, Any], at: WrittenModel) -> str:
    """The name of an array of a file: the one asked for, or the first usual one that it has."""
    if asked is not None and asked in headers:
        return asked
    found = next((name for name in usual if name in headers), None)
    if asked is not None or found is None:
        missing = repr(asked) if asked is not None else listed(usual)
        raise at.refused(f"has no array {missing}{hint(asked or '', headers)}", f"one of {listed(headers)}")
    return found


def _images(form: DatasetForm, at: WrittenModel) -> Found:
    folder = _path(at)
    if not folder.is_dir():
        raise at.refused("is no folder", f"a folder of pictures ({folder.absolute()})")
    pictures = pictures_in(folder)
    if not pictures:
        raise at.refused("holds no picture", listed(PICTURES))
    names = _names(pictures, folder)
    own: dict[str, Any] = {"sha256": hash_of(pictures, at), "names": hash_of_text("\n".join(names))}
    files = {"images": str(folder.absolute())}
    if form.labels is not None:
        labels = replace(at, key=at.key.rpartition(".")[0] + ".labels", source=form.labels)
        path = _path(labels)
        own["labels"] = hash_of([path], labels)
        files["labels"] = str(path.absolute())
    elif any("/" not in name for name in names):
        loose = next(name for name in names if "/" not in name)
        raise at.refused(f"holds {loose} in no folder of a class", "labels: FILE, or a folder for each class")
    return own, files, ("pillow",)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder and of those within it, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())


def _names(pictures: Sequence[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in pictures]


def content_of(files: Mapping[str, str]) -> dict[str, str]:
    """What the options of a data set say of its files, as they are now. Raises OSError."""
    if "npz" in files:
        return {"sha256": sha256_of([Path(files["npz"])])}
    if "images" not in files:
        return {}
    folder = Path(files["images"])
    pictures = pictures_in(folder)
    # Of names and content: a picture that is called otherwise has another label
    said = {"sha256": sha256_of(pictures), "names": hash_of_text("\n".join(_names(pictures, folder)))}
    return said | ({"labels": sha256_of([Path(files["labels"])])} if "labels" in files else {})


def hash_of_text(text: str) -> str:
    """SHA-256, in hex."""
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _sklearn(form: DatasetForm, at: WrittenModel) -> Found:
    return {"name": form.sklearn}, {}, ("scikit-learn",)


def _path(at: WrittenModel) -> Path:
    if "\0" in at.source:
        raise at.refused("is not a path")
    return at.study_file.parent / Path(at.source).expanduser()


_READERS: Mapping[str, Callable[[DatasetForm, WrittenModel], Found]] = {
    "npz": _npz,
    "images": _images,
    "sklearn": _sklearn,
}
