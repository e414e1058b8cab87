"""The importers there are, and which of them reads a model as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sweep.errors import StudyError
from sweep.registry import Registry, attribute_at
from sweep.study.importers.importer import Claimer, ModelImporter

__all__ = ["IMPORTERS", "UNNAMED", "claimant", "importer_named", "is_path", "own_runtime", "sources", "stem_of"]

UNNAMED = "onnx"
"""The importer that the options of an import stage do not name: at first there was no other."""

IMPORTERS: Registry[ModelImporter] = Registry(
    "importer",
    "sweep.importers",
    {
        UNNAMED: "sweep.study.importers.onnx_importer:ONNX",
        "tflite": "sweep.study.importers.tflite.tflite_importer:TFLITE",
        "torch": "sweep.study.importers.pytorch.torch_importers:PROGRAM",
        "torchvision": "sweep.study.importers.pytorch.torch_importers:TORCHVISION",
        "timm": "sweep.study.importers.pytorch.torch_importers:TIMM",
        "torch-function": "sweep.study.importers.pytorch.torch_importers:FUNCTION",
        "keras": "sweep.study.importers.keras.keras_importer:KERAS",
        "tensorflow": "sweep.study.importers.tensorflow.tensorflow_importer:TENSORFLOW",
        "variant": "sweep.study.variants.variant_importer:VARIANT",
    },
)


def importer_named(name: str, file: Path | None = None, key: str | None = None) -> ModelImporter:
    """The importer of a name, which may be `module:attribute`.

    Raises:
        StudyError: there is none, it cannot be imported, or it is no importer; `file` and `key` say where it is named.
    """
    refused = partial(StudyError, file=file, key=key, value=name)
    try:
        importer: object = attribute_at(name) if ":" in name else IMPORTERS.get(name)
    except StudyError as error:
        raise refused(error.problem, allowed=error.allowed) from error
    except Exception as error:
        allowed = "module:attribute of an installed package or of a folder on PYTHONPATH"
        raise refused(f"cannot be imported: {type(error).__name__}: {error}", allowed=allowed) from error
    if not isinstance(importer, ModelImporter):
        allowed = "what sweep.study.importers.importer describes as a ModelImporter"
        raise refused(f"is no importer but {type(importer).__name__}", allowed=allowed)
    return importer


def own_runtime(name: str) -> str | None:
    """What runs the files of an importer as they are; None where it does not say."""
    return getattr(importer_named(name), "own_runtime", None)


def claimant(source: str) -> ModelImporter | None:
    """The first importer that a model as written belongs to, by prefix or suffix, or else by what it is written like;
    None where nobody claims it.

    Raises StudyError where nobody does and an installed one is broken: it may be the one that would.
    """
    broken: StudyError | None = None
    likely: ModelImporter | None = None
    for name in IMPORTERS.names():  # one after the other: what is not needed is not imported
        try:
            importer = IMPORTERS.get(name)
        except StudyError as error:
            broken = broken or error
            continue
        if _prefix(importer, source) or _ends(importer, source):
            return importer
        if likely is None and _claims(importer, source):
            likely = importer
    if likely is None and broken is not None:
        raise broken
    return likely


def sources() -> Iterator[str]:
    """What may be written of a model, in words: `.onnx`, `onnx-light:NAME`."""
    for importer in IMPORTERS:
        yield from importer.suffixes
        yield from (f"{prefix}NAME" for prefix in importer.prefixes)


def is_path(source: str) -> bool:
    """Whether a model as written is a path, and not a name after a prefix."""
    importer = claimant(source)
    return importer is None or not (_prefix(importer, source) or _claims(importer, source))


def stem_of(source: str, importer: ModelImporter | None) -> str:
    """What a model as written is called: its file without the suffix, or what follows the prefix."""
    prefix = _prefix(importer, source) if importer is not None else ""
    return source.removeprefix(prefix) if prefix else Path(source).stem


def _prefix(importer: ModelImporter, source: str) -> str:
    return next((prefix for prefix in importer.prefixes if source.startswith(prefix)), "")


def _claims(importer: ModelImporter, source: str) -> bool:
    return isinstance(importer, Claimer) and importer.claims(source)


def _ends(importer: ModelImporter, source: str) -> bool:
    return Path(source).suffix.lower() in importer.suffixes
