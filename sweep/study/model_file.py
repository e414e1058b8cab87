"""From a model as written to a file on this machine and its hash. The file's content is the toolchain's to judge."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

from sweep.errors import StudyError
from sweep.study.spec import Model
from sweep.study.study_form import ModelForm
from sweep.suggestions import hint, listed

__all__ = ["EXTENSIONS", "LIGHT", "external_data", "read_model"]

LIGHT = "onnx-light:"
"""Starts the name of a network that ships inside the onnx package."""

EXTENSIONS = (".onnx",)


def read_model(written: str | ModelForm, file: Path, key: str) -> Model:
    """The model that a person means; relative paths start at the study file. Raises StudyError when there is none."""
    form = ModelForm(path=written) if isinstance(written, str) else written
    where = key if isinstance(written, str) else f"{key}.path"
    path = _light(form.path, file, where) if form.path.startswith(LIGHT) else _own(form.path, file, where)
    name = form.name or _name_of(form.path)
    if not name:
        raise StudyError("has no letter to make a name of", file=file, key=key, value=form.path, allowed="a `name:`")
    _check_shapes(form, file, key)
    inputs = {name: tuple(shape) for name, shape in sorted(form.inputs.items())}
    return Model(name=name, source=form.path, path=path, sha256=_sha256(path, file, where), inputs=inputs)


def _light(source: str, file: Path, key: str) -> Path:
    folder = _light_folder()
    if folder is None:
        raise StudyError("needs the onnx package, which is not installed", file=file, key=key, value=source)
    path = folder / f"light_{source.removeprefix(LIGHT)}.onnx"
    names = sorted(found.stem.removeprefix("light_") for found in folder.glob("light_*.onnx"))
    if source.removeprefix(LIGHT) not in names:
        near = hint(source.removeprefix(LIGHT), names)
        raise StudyError(
            f"is not a network of the onnx package{near}",
            file=file,
            key=key,
            value=source,
            allowed=LIGHT + listed(names),
        )
    return path


def _light_folder() -> Path | None:
    """Found without importing onnx, which takes longer than a plan may."""
    spec = importlib.util.find_spec("onnx")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "backend" / "test" / "data" / "light"


def _own(source: str, file: Path, key: str) -> Path:
    if "\0" in source:
        raise StudyError("is not a path", file=file, key=key, value=source)
    path = Path(source).expanduser()
    path = path if path.is_absolute() else file.parent / path
    try:
        if path.suffix.lower() not in EXTENSIONS and not path.is_dir():
            near = hint(source, [LIGHT + name for name in _light_names()])
            raise StudyError(
                f"is not a model file{near}",
                file=file,
                key=key,
                value=source,
                allowed=f"{listed(EXTENSIONS)} or {LIGHT}NAME",
            )
        if path.is_dir():
            raise StudyError(
                "is a directory", file=file, key=key, value=source, allowed=f"a file ({listed(EXTENSIONS)})"
            )
        if not path.is_file():
            near = hint(path.name, [found.name for found in path.parent.glob("*.onnx")] if path.parent.is_dir() else [])
            raise StudyError(
                f"does not exist{near}", file=file, key=key, value=source, allowed=f"a file ({path.absolute()})"
            )
        if path.stat().st_size == 0:
            raise StudyError("is an empty file", file=file, key=key, value=source, allowed="an ONNX model")
    except OSError as error:
        raise StudyError(f"cannot be read: {error.strerror}", file=file, key=key, value=source) from None
    return path.absolute()


def _light_names() -> list[str]:
    folder = _light_folder()
    return [] if folder is None else [found.stem.removeprefix("light_") for found in folder.glob("light_*.onnx")]


def _name_of(source: str) -> str:
    stem = source.removeprefix(LIGHT) if source.startswith(LIGHT) else Path(source).stem
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", stem).strip("-._+=")


def _check_shapes(form: ModelForm, file: Path, key: str) -> None:
    for name, shape in form.inputs.items():
        elements = 1
        for size in shape:
            elements *= size
        if elements > 1 << 31:
            raise StudyError(
                "is a shape too large",
                file=file,
                key=f"{key}.inputs.{name}",
                value=shape,
                allowed="up to 2^31 elements",
            )


def _sha256(path: Path, file: Path, key: str) -> str:
    """Of the file; where weights lie in a file of the same name beside it, of both."""
    try:
        parts = [path, *(other for other in external_data(path) if other.is_file())]
        hashes = []
        for part in parts:
            with part.open("rb") as stream:
                hashes.append(hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise StudyError(f"cannot be read: {error.strerror}", file=file, key=key, value=str(path)) from None
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def external_data(path: Path) -> list[Path]:
    """Where the weights of a network lie that are not in its own file; not each of them is there."""
    return [path.with_suffix(".data"), path.with_name(path.name + ".data"), path.with_name(path.name + "_data")]
