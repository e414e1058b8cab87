"""Which values of a network are NaN or infinite for given inputs, so that what TVM's code would lose there is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.models.rewriting.against_original import original_outputs

__all__ = ["Met", "has_other_than_numbers", "met_in"]

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Met:
    """Names of values."""

    not_numbers: frozenset[str] = frozenset()
    """That have NaN somewhere."""
    infinite: frozenset[str] = frozenset()
    """That have an infinity somewhere."""


def has_other_than_numbers(outputs: Sequence[_Array]) -> bool:
    """Whether an output has NaN or an infinity."""
    return any(output.dtype.kind == "f" and not np.isfinite(output).all() for output in outputs)


def met_in(model: Any, feeds: Mapping[str, _Array]) -> Met:
    """Run a network for the values of all its nodes. Raises what ONNX Runtime raises where it cannot be run."""
    watched = type(model)()
    watched.CopyFrom(model)
    given = {value.name for value in model.graph.output}
    names = list(dict.fromkeys(name for node in model.graph.node for name in node.output if name))
    watched.graph.output.extend(watched.graph.value_info.add(name=name) for name in names if name not in given)
    del watched.graph.value_info[:]
    values = dict(zip((value.name for value in watched.graph.output), original_outputs(watched, feeds), strict=True))
    values |= feeds
    floats = {name: value for name, value in values.items() if value.dtype.kind == "f"}
    return Met(
        frozenset(name for name, value in floats.items() if np.isnan(value).any()),
        frozenset(name for name, value in floats.items() if np.isinf(value).any()),
    )
