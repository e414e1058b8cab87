"""The rewriting of a network as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule
from sweep.toolchain.models.rewriting.rules import (
    arithmetic,
    block_scales,
    control_flow,
    deformable,
    functions,
    fused,
    fused_attention,
    n_grams,
    no_elements,
    not_numbers,
    onnx_normalisation,
    other_types,
    pooling,
    quantised,
    recurrent,
    resizing,
    sequences,
    shapes,
    spectra,
    tensors,
)
from sweep.toolchain.models.rewriting.rules.learning import classic_learning, gradients, optimisers
from sweep.toolchain.models.rewriting.rules.old_operators import modern
from sweep.toolchain.models.rewriting.values_met import Met

__all__ = ["rewritten", "rules"]

_MODULES = (
    no_elements,
    not_numbers,
    shapes,
    control_flow,
    sequences,
    recurrent,
    quantised,
    block_scales,
    functions,
    fused,
    fused_attention,
    classic_learning,
    optimisers,
    gradients,
    deformable,
    arithmetic,
    onnx_normalisation,
    resizing,
    other_types,
    pooling,
    spectra,
    tensors,
    n_grams,
)


def rewritten(model: Any, met: Met | None = None) -> Any:
    """A network whose inputs have fixed shapes, with operators that TVM's importer knows alone where that can be.

    met: values to keep that are NaN or infinite. Raises ImportFailed.
    """
    return Rewriter(_inlined(model), rules(), modern, met).rewritten()


def rules() -> Mapping[str, Sequence[Rule]]:
    """Those of an operator in the order in which they are tried, by its name."""
    found: dict[str, list[Rule]] = {}
    for operator, rule in chain.from_iterable(module.RULES.items() for module in _MODULES):
        found.setdefault(operator, []).append(rule)
    return found


def _inlined(model: Any) -> Any:
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model, convert_version=True)
    except Exception as error:
        raise ImportFailed(f"the functions of the network cannot be inlined: {in_one_line(error)}") from error
