"""Holds what a study says of a model's inputs against what the header of its file declares, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.study.importers.batch_dimension import BatchDimension, shown_input
from sweep.study.importers.importer import HeaderReader, ModelImporter, ModelInput, WrittenModel
from sweep.suggestions import hint, listed

__all__ = ["check_inputs", "declared_inputs"]


def declared_inputs(importer: ModelImporter, path: Path, written: WrittenModel) -> Sequence[ModelInput] | None:
    """The inputs in a file's header; None where its importer reads no header. Raises StudyError: it is damaged."""
    if not isinstance(importer, HeaderReader):
        return None
    try:
        return importer.inputs_of(path)
    except ValueError:
        raise written.refused("is damaged, or something else", f"{importer.title}, whole") from None
    except OSError as error:
        raise written.refused(f"cannot be read: {error.strerror}") from None


def check_inputs(
    declared: Sequence[ModelInput], shapes: Mapping[str, Sequence[int]], batch: BatchDimension, written: WrittenModel
) -> None:
    """Raises StudyError where a shape is given to no input, or one of another rank, or where a dimension has no size.

    written: whose key is that of the model, without the `.path`.
    """
    known = {one.name: one for one in declared}
    for name, shape in shapes.items():
        at = replace(written, key=f"{written.key}.inputs.{name}")
        if name not in known:
            near, allowed = hint(name, known), listed(_shown(one) for one in declared)
            raise at.refused(f"is no input of the network{near}", allowed, list(shape))
        own = known[name].shape
        if own is not None and len(own) != len(shape):
            problem = f"has the wrong number of dimensions: the network's input has {len(own)}"
            raise at.refused(problem, _shown(known[name]), list(shape))
        if (
            own is not None
            and known[name].is_fixed
            and any(isinstance(size, int) and size != there for size, there in zip(own, shape, strict=True))
        ):
            raise at.refused("is another shape than the network was made for", _shown(known[name]), list(shape))
    for one in declared:
        if one.name not in shapes:
            _check_closed(one, shapes, batch, written)


def _check_closed(
    one: ModelInput, shapes: Mapping[str, Sequence[int]], batch: BatchDimension, written: WrittenModel
) -> None:
    at = replace(written, key=f"{written.key}.inputs") if shapes else written
    if one.shape is None and one.dtype is None:
        return  # no tensor of a type that is known: the import takes what is in it, or refuses it by its kind
    if one.shape is None:
        raise at.refused(f"does not tell the shape of its input {one.name!r}", f"inputs: {{{one.name}: [...]}}")
    for index, size in enumerate(one.shape):
        if isinstance(size, str) and index > 0 and not batch.sets(one.name, index):  # open leading ones are 1 at least
            problem = f"leaves dimension {index} of its input {one.name!r} open"
            text = ", ".join(
                ["1" if not at and isinstance(size, str) else str(size) for at, size in enumerate(one.shape)]
            )
            raise at.refused(problem, f"inputs: {{{one.name}: [{text}]}}, with a number for each name")


def _shown(one: ModelInput) -> str:
    return shown_input(one.name, one.shape)
