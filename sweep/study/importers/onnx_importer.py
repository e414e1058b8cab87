"""ONNX files with the weights that lie beside them, and the networks that ship inside the onnx package."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.files.confined import OutsideFolder, below
from sweep.study.importers.importer import (
    AS_INTEGERS,
    FileImporter,
    ModelFiles,
    ModelInput,
    WrittenModel,
    file_of,
    hash_of,
    hashed_files,
)
from sweep.study.importers.onnx_external_data import external_locations
from sweep.study.importers.onnx_header import onnx_inputs
from sweep.study.importers.onnx_outline import outline_of
from sweep.study.importers.onnx_steps import is_quantised, steps_in
from sweep.suggestions import hint, listed

__all__ = ["LIGHT", "ONNX", "OnnxImporter"]

LIGHT = "onnx-light:"
"""Starts the name of a network that ships inside the onnx package."""


@dataclass(frozen=True, kw_only=True)
class OnnxImporter(FileImporter):
    """The importer of ONNX models."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file and its weights, wherever it says that they lie."""
        if written.source.startswith(LIGHT):
            path = _light(written)
            # Their weights are constant, on which wrong code can go unseen
            return ModelFiles(path, hash_of([path], written), is_installed=True, options={"weights": "random"})
        path = file_of(written, self)
        companions = tuple(_companions(path, written))
        try:
            outline = outline_of(path)
        except OSError as error:
            raise written.refused(f"cannot be read: {error.strerror}") from None
        steps = [] if outline is None else steps_in(outline)
        codes = AS_INTEGERS if outline is not None and is_quantised(outline) else {}
        options = {"weights": "as-is", **({"rewriting": steps} if steps else {}), **codes}
        return hashed_files(path, written, companions, options)

    def inputs_of(self, path: Path) -> Sequence[ModelInput]:
        """What a caller feeds. Raises ValueError, OSError."""
        return onnx_inputs(path)

    def known_names(self) -> Iterable[str]:
        """The networks of the onnx package."""
        return [LIGHT + name for name in _light_names()]


ONNX = OnnxImporter(
    name="onnx",
    title="an ONNX model",
    suffixes=(".onnx",),
    prefixes=(LIGHT,),
    distributions=("onnx",),
    formats=("onnx",),
    loader="sweep.toolchain.models.onnx_loader:OnnxLoader",
    graph_reader="sweep.inspection.readers.onnx_graph:read_onnx_graph",
)


def _companions(path: Path, written: WrittenModel) -> Iterable[Path]:
    """The files of the weights: first those of the usual names that are there, whether the network names them or not,
    then what else it names. Raises StudyError where one lies elsewhere, is not there or ends too soon.
    """
    usual = [path.with_suffix(".data"), path.with_name(path.name + ".data"), path.with_name(path.name + "_data")]
    try:
        locations = external_locations(path)
    except OSError as error:
        raise written.refused(f"cannot be read: {error.strerror}") from None
    for location, size in locations.items():
        _check_weights(path, location, size, written)
    named = (path.parent / location for location in locations)
    return (weights for weights in dict.fromkeys([*usual, *named]) if weights.is_file())


def _check_weights(path: Path, location: str, size: int, written: WrittenModel) -> None:
    try:
        weights = below(path.parent, location)
    except OutsideFolder:
        allowed = "weights beside the model or below"
        raise written.refused("has weights outside its own folder", allowed, location) from None
    if not weights.is_file():
        allowed = f"the file that was exported with it ({weights})"
        raise written.refused("has weights in a file that is not there", allowed, location)
    about = weights.stat()
    if about.st_nlink > 1:  # which the onnx package does not read
        raise written.refused("has weights in a file with a second name (a hard link)", "a copy of it", location)
    if (there := about.st_size) < size:
        problem = f"has weights in a file that ends too soon, after byte {there:,}"
        raise written.refused(problem, f"the whole file ({size:,} bytes or more)", location)


def _light(written: WrittenModel) -> Path:
    folder = _light_folder()
    if folder is None:
        raise written.refused("needs the onnx package, which is not installed")
    name, names = written.source.removeprefix(LIGHT), _light_names()
    if name not in names:
        raise written.refused(f"is not a network of the onnx package{hint(name, names)}", LIGHT + listed(names))
    return folder / f"light_{name}.onnx"


def _light_names() -> list[str]:
    folder = _light_folder()
    return [] if folder is None else sorted(path.stem.removeprefix("light_") for path in folder.glob("light_*.onnx"))


def _light_folder() -> Path | None:
    """Found without importing onnx, which takes longer than a plan may."""
    spec = importlib.util.find_spec("onnx")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "backend" / "test" / "data" / "light"
