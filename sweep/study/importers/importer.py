"""What an importer of models is, on the side that plans.

It says which models are its own, finds their files, and hashes what decides the result of their import. It reads no
network: that is its loader's work (`sweep.toolchain.models.loader`), which it names and does not import, so that a
plan loads nothing heavy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sweep.errors import StudyError
from sweep.suggestions import hint, listed

__all__ = [
    "AS_INTEGERS",
    "Claimer",
    "FileImporter",
    "GraphReader",
    "HeaderReader",
    "ModelFiles",
    "ModelImporter",
    "ModelInput",
    "WrittenModel",
    "file_of",
    "hash_of",
    "hashed_files",
    "path_of",
    "sha256_of",
]

AS_INTEGERS: Mapping[str, Any] = {"quantised": "integers"}
"""Among the options of the import of a quantised network: earlier versions computed it in floats, and what they made
is not taken for what is made now.
"""


@dataclass(frozen=True, slots=True)
class WrittenModel:
    """A model as a person wrote it, and where."""

    source: str
    """A path, or a name after a prefix: `models/net.onnx`, `onnx-light:squeezenet`."""
    study_file: Path
    """Relative paths start at its folder."""
    key: str
    """Of the source in the study file: `models[0].path`."""

    def refused(self, problem: str, allowed: str | None = None, value: object = None) -> StudyError:
        """The error to raise about it; `value` where it is not the source that is wrong."""
        shown = self.source if value is None else value
        return StudyError(problem, file=self.study_file, key=self.key, value=shown, allowed=allowed)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model as it is on this machine."""

    path: Path
    """What the loader opens."""
    sha256: str
    """Of all content that decides the result of the import."""
    companions: tuple[Path, ...] = ()
    """Further files that belong to it, each in the folder of `path` or below."""
    is_hashed: bool = False
    """Whether `sha256` is the hash of `path` and then of `companions`, and of nothing else: its import looks again."""
    is_installed: bool = False
    """Whether a package brings the files, so that a run elsewhere has them too."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else decides the result, as JSON has it: options of the import stage beside those that all models have."""
    inputs: Sequence[ModelInput] | None = None
    """Its inputs, where they are known without a header; None: `HeaderReader` may tell them."""


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input that a model's file declares."""

    name: str
    shape: tuple[int | str, ...] | None
    """A text where the file leaves a dimension open: the name that stands for it, or `?`. None: it tells no rank."""
    dtype: str | None = None
    """Its number type by numpy's name; None where that is not known."""
    is_fixed: bool = False
    """Whether the sizes that the file gives are the only ones that the network takes."""


@runtime_checkable
class Claimer(Protocol):
    """An importer that also claims models by what they are written like. It is asked after prefixes and suffixes."""

    def claims(self, source: str) -> bool:
        """Whether a model as written is its own, and no path."""


@runtime_checkable
class HeaderReader(Protocol):
    """An importer that can also tell the inputs of a model from its file's header: for `sweep init`, and for a study,
    whose `inputs:` are held against it. Both ask those that have this, and need it of none.
    """

    def inputs_of(self, path: Path) -> Sequence[ModelInput]:
        """The inputs that the file declares. Imports nothing heavy.

        Raises:
            ValueError: the file is damaged, or of another format.
            OSError: it cannot be read.
        """


@runtime_checkable
class GraphReader(Protocol):
    """An importer whose models can be inspected."""

    @property
    def graph_reader(self) -> str:
        """`module:attribute` of the function that reads a file as a graph: `sweep.inspection.network_graph` says what
        that is. It takes the path and shapes of inputs by name. Empty: there is none.
        """


@runtime_checkable
class ModelImporter(Protocol):
    """One format, or one source, of models."""

    @property
    def name(self) -> str:
        """What `importer:` of a model in a study says."""

    @property
    def title(self) -> str:
        """A model of this format in words, for errors: `an ONNX model`."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Ends of the paths that it claims, small letters: `.onnx`."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Beginnings of names that it claims, which are no paths: `onnx-light:`."""

    @property
    def distributions(self) -> tuple[str, ...]:
        """Packages whose versions the result depends on, beside TVM. With none, the loader's own file is hashed."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The forms in which an import leaves the network for other runtimes than TVM: `onnx`."""

    @property
    def loader(self) -> str:
        """`module:attribute` of its `ModelLoader`, called without arguments."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The files of a model, hashed. Imports nothing heavy. Raises StudyError, made by `written.refused`."""

    def known_names(self) -> Iterable[str]:
        """All models that have a name after a prefix, prefix included, for hints."""


@dataclass(frozen=True, kw_only=True)
class FileImporter:
    """An importer of models that are one file each."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    loader: str
    distributions: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    graph_reader: str = ""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file and its hash."""
        path = file_of(written, self)
        return hashed_files(path, written)

    def known_names(self) -> Iterable[str]:
        """None: a file has a path."""
        return ()


def file_of(written: WrittenModel, importer: ModelImporter) -> Path:
    """The file that a model's path leads to. Raises StudyError where there is no readable one, or an empty one."""
    path = path_of(written)
    try:
        if path.is_dir():
            raise written.refused("is a directory", f"a file ({listed(importer.suffixes)})")
        if "://" in written.source and not path.exists():
            raise written.refused("is an address, and nothing is fetched", "a file on this machine")
        if not path.is_file():
            raise written.refused(f"does not exist{_near(path, importer)}", f"a file ({path.absolute()})")
        if path.stat().st_size == 0:
            raise written.refused("is an empty file", importer.title)
    except OSError as error:
        raise written.refused(f"cannot be read: {error.strerror}") from None
    return path.absolute()


def path_of(written: WrittenModel) -> Path:
    """Where a model's path leads, whatever is there. Raises StudyError where it can lead nowhere."""
    if "\0" in written.source:
        raise written.refused("is not a path")
    try:
        path = written.study_file.parent / Path(written.source).expanduser()
        path.exists()
    except OSError as error:
        raise written.refused(f"cannot be read: {error.strerror}") from None
    return path


def hash_of(files: Sequence[Path], written: WrittenModel) -> str:
    """As `sha256_of`. Raises StudyError where a file cannot be read."""
    try:
        return sha256_of(files)
    except OSError as error:
        raise written.refused(f"cannot be read: {error.strerror}", value=str(error.filename)) from None


def hashed_files(
    path: Path, written: WrittenModel, companions: tuple[Path, ...] = (), options: Mapping[str, Any] | None = None
) -> ModelFiles:
    """A model whose files decide the result of its import. Raises StudyError where one cannot be read."""
    sha256 = hash_of([path, *companions], written)
    return ModelFiles(path, sha256, companions, is_hashed=True, options=options or {})


def sha256_of(files: Sequence[Path]) -> str:
    """SHA-256 of a file; of several files, of their hashes in order. Raises OSError."""
    hashes = []
    for path in files:
        with path.open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _near(path: Path, importer: ModelImporter) -> str:
    """A hint at a model in the same folder."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return hint(path.name, [other.name for other in beside if other.suffix.lower() in importer.suffixes])
