"""Which dimensions of a network's inputs the batch axis sets, by what the header of its file declares. Pure.

A network whose leading dimensions are open or 1 takes a batch there. In others the first dimension may be points, time
or a batch that is fixed inside, which a header does not tell: these stay as the file has them, unless a person names
the dimension that is the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.study.importers.importer import ModelInput, WrittenModel
from sweep.suggestions import hint, listed

__all__ = ["AS_IS", "BatchDimension", "batch_dimension", "shown_input"]

AS_IS = "as-is"
"""What `batch:` of a model says where the axis is to leave it alone."""
_SEQUENCE = 3
"""Dimensions of a sequence: time, batch, features, where time comes first."""
_Sizes = Mapping[str, Sequence[int | str] | None]


@dataclass(frozen=True, slots=True)
class BatchDimension:
    """How a model takes the batch axis."""

    takes_axis: bool = True
    """Whether it has a cell for each listed batch. Else it has one, at no batch, with its dimensions as in its file."""
    takes_default: bool = True
    """Whether it is measured at batch 1 where a study lists no batch. Else as its file has it."""
    named: Mapping[str, Sequence[int]] | None = None
    """By input, the indices of the dimensions that a person named; None: the leading one of every input."""
    only: int | None = None
    """The one batch that it can be measured at in spite of a refusal: the size that its file has there."""
    refusal: str = ""
    """Why a study may list no batch for it; empty where it may."""
    mend: str = ""
    batches: tuple[int | None, ...] | None = None
    """Those of its cells in a study; None: all that the study lists."""

    @property
    def options(self) -> dict[str, Any]:
        """What the options of an import say of it, where a person said something."""
        return {} if self.named is None else {"batch_dims": {name: list(at) for name, at in self.named.items()}}

    def values(self, listed_batches: Sequence[int | None], *, is_listed: bool) -> tuple[int | None, ...]:
        """The batches of its cells; None stands for what the file has."""
        takes = self.takes_axis if is_listed else self.takes_axis and self.takes_default
        return tuple(listed_batches) if takes else (None,)

    def sets(self, name: str, index: int) -> bool:
        """Whether the axis sets a dimension of an input, should it be open."""
        return index == 0 if self.named is None else index in self.named.get(name, ())


def batch_dimension(
    asked: str | Mapping[str, int] | None,
    declared: Sequence[ModelInput] | None,
    shapes: Mapping[str, Sequence[int]],
    written: WrittenModel,
    model: str,
) -> BatchDimension:
    """Of a model.

    asked: its `batch:`. declared: what its header has; None where nobody reads it. shapes: a person's, over these.
    written: with the key of `batch:`. model: its name. Raises StudyError where it names no dimension of the network.
    """
    if asked == AS_IS:
        return BatchDimension(takes_axis=False, takes_default=False)
    if asked is not None:
        named = _named(asked, declared, written)
        sizes = {one.name: one.shape for one in declared or ()} | {name: tuple(shape) for name, shape in shapes.items()}
        takes = [size for name, at in named.items() for index in at if (size := _size(sizes, name, index)) is not None]
        return BatchDimension(takes_default=all(isinstance(size, str) or size == 1 for size in takes), named=named)
    if not declared:  # a network of no inputs is the same at any batch
        return BatchDimension()
    sizes = {one.name: one.shape for one in declared} | {name: tuple(shape) for name, shape in shapes.items()}
    fixed = {one.shape[0] for one in declared if one.is_fixed and one.shape and isinstance(one.shape[0], int)}
    if fixed:
        return _fixed(sizes, fixed, model)
    return _unnamed(sizes, model)


def _fixed(sizes: _Sizes, fixed: set[int], model: str) -> BatchDimension:
    """Of a network that takes no other sizes than those of its file."""
    shown = listed(shown_input(name, shape) for name, shape in sizes.items())
    refusal = f"is no batch of {model}, which was made for {shown} alone"
    only = next(iter(fixed)) if len(fixed) == 1 and all(shape for shape in sizes.values()) else None
    mend = "the batch that it has, or as-is; or a network that is exported with an open batch"
    return BatchDimension(takes_default=only == 1, only=only, refusal=refusal, mend=mend)


def _unnamed(sizes: _Sizes, model: str) -> BatchDimension:
    leading = [None if not shape else shape[0] for shape in sizes.values()]
    if all(size == 1 or isinstance(size, str) for size in leading):
        return BatchDimension()
    shown = listed(shown_input(name, shape) for name, shape in sizes.items())
    mend = "no axes.batch; or, for this model, batch: NAME or {INPUT: INDEX} of the dimension that is one, or as-is"
    if None in leading or len(set(leading)) > 1:
        refusal = f"has no place that all inputs of {model} have ({shown})"
        return BatchDimension(takes_default=False, refusal=refusal, mend=mend)
    if all(shape is not None and len(shape) == _SEQUENCE and shape[1] == 1 for shape in sizes.values()):
        refusal = f"is no batch of {model}, whose batch of 1 stands second ({shown})"
        return BatchDimension(takes_default=False, only=int(leading[0] or 0), refusal=refusal, mend=mend)
    return BatchDimension(takes_default=False)


def _named(
    asked: str | Mapping[str, int], declared: Sequence[ModelInput] | None, written: WrittenModel
) -> dict[str, tuple[int, ...]]:
    if isinstance(asked, str):
        found = {
            one.name: at
            for one in declared or ()
            if (at := tuple(index for index, size in enumerate(one.shape or ()) if size == asked))
        }
        if not found:
            symbols = {size for one in declared or () for size in one.shape or () if isinstance(size, str)} - {"?"}
            allowed = listed([*sorted(symbols), AS_IS, "{INPUT: INDEX}"])
            raise written.refused(f"is no open dimension of the network{hint(asked, symbols)}", allowed, asked)
        return found
    known = None if declared is None else {one.name: one.shape for one in declared}
    for name, index in asked.items():
        if known is None:
            continue
        if name not in known:
            raise written.refused(f"names no input of the network{hint(name, known)}", listed(known), name)
        shape = known[name]
        if shape is not None and index >= len(shape):
            allowed = f"0 to {len(shape) - 1}" if shape else "an input that has dimensions"
            raise written.refused(f"is no dimension of {shown_input(name, shape)}", allowed, index)
    return {name: (index,) for name, index in asked.items()}


def _size(sizes: _Sizes, name: str, index: int) -> int | str | None:
    shape = sizes.get(name)
    return shape[index] if shape is not None and index < len(shape) else None


def shown_input(name: str, shape: Sequence[int | str] | None) -> str:
    """`data: [1, 3, H, W]`."""
    return f"{name}: {'any shape' if shape is None else '[' + ', '.join(map(str, shape)) + ']'}"
