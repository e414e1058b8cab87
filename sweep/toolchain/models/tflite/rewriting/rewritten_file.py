"""A TFLite file as one without state and without operators of a maker's own, as far as these are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tflite

from sweep.study.importers.tflite.tflite_outline import TfliteOutline
from sweep.toolchain.models.tflite.rewriting.file_parts import FileParts
from sweep.toolchain.models.tflite.rewriting.kept_state import State, has_state, without_state
from sweep.toolchain.models.tflite.rewriting.maker_operators import as_builtin, has_known
from sweep.toolchain.models.tflite.tflite_view import stored_values

__all__ = ["RewrittenFile", "rewritten_file"]

_Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class RewrittenFile:
    """The new file, and what was done."""

    content: bytes
    states: Sequence[State]
    first_values: Mapping[int, _Array]
    """Of the inputs that hold the state before a call, by their tensors."""
    replaced: Sequence[str]
    """Operators of a maker's own that are builtin ones now."""

    @property
    def steps(self) -> list[str]:
        """For the result of the import."""
        return [*(["state"] if self.states else []), *sorted(set(self.replaced))]


def rewritten_file(content: bytes, outline: TfliteOutline) -> RewrittenFile | None:
    """None where there is nothing to do. Raises ImportFailed. outline: of the content."""
    parts = FileParts.of(content)
    keeps, is_known = has_state(parts), has_known(parts)
    lies_behind = any(table.scalar(1, "Q") > 1 for table in parts.model.tables(4))
    if not (keeps or is_known) or lies_behind:  # contents behind the flatbuffer are found by bytes of the whole file
        return None
    states = without_state(parts) if keeps else []
    replaced = as_builtin(parts) if is_known else []
    values = {state.tensor: _first_value(content, outline, state) for state in states}
    return RewrittenFile(parts.written(), states, values, replaced)


def _first_value(content: bytes, outline: TfliteOutline, state: State) -> _Array:
    tensor = outline.graphs[0].tensors[state.tensor]
    if state.graph is None:
        return np.zeros(tensor.shape, tensor.dtype)
    model = tflite.Model.GetRootAs(content, 0)
    stored = model.Subgraphs(state.graph).Tensors(state.constant)
    values: _Array = stored_values(stored, model.Buffers(stored.Buffer())).reshape(tensor.shape)
    return values
