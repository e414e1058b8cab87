"""An exported program in torch's core operators, with what TVM's importer does otherwise than torch written anew.

Each rewrite works around a defect of TVM: `docs/tvm-defects.md` lists them, with the tests that tell when one can go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep.toolchain.models.pytorch.decompositions import decomposition_table
from sweep.toolchain.models.pytorch.short_floats import add_up_in_float32
from sweep.toolchain.models.pytorch.torch_module import quietly

__all__ = ["settled"]


def settled(program: Any) -> Any:
    """A program of its own. Raises what torch's decompositions raise."""
    with quietly():
        found = program.run_decompositions(decomposition_table())
    graph = found.graph_module.graph
    for node in list(graph.nodes):
        rewrite = _REWRITES.get(getattr(node.target, "_opname", "")) if node.op == "call_function" else None
        if rewrite is not None:
            rewrite(found, node)
    add_up_in_float32(graph)
    found.graph_module.recompile()
    return found


def _count_from_the_front(program: Any, node: Any) -> None:
    """`select` of a negative index: TVM takes it as it is, from memory before the tensor."""
    source, dim, index = node.args
    if isinstance(index, int) and index < 0:
        node.args = (source, dim, index + int(source.meta["val"].shape[dim]))


def _wrap_indices(program: Any, node: Any) -> None:
    """Indices that may be negative: TVM's `take` reads memory before the tensor. Those of constants are looked at."""
    import torch

    source, indices = node.args[:2]
    wrapped = []
    for dim, index in enumerate(indices):
        value = None if index is None else index.meta.get("val")
        if value is None or value.dtype == torch.bool or not _may_be_negative(program, index):
            wrapped.append(index)
            continue
        size = int(source.meta["val"].shape[dim])
        with node.graph.inserting_before(node):
            inside = node.graph.call_function(torch.ops.aten.remainder.Scalar, (index, size))
        inside.meta = dict(index.meta)
        wrapped.append(inside)
    node.args = (source, wrapped, *node.args[2:])


def _may_be_negative(program: Any, index: Any) -> bool:
    if index.op != "placeholder":
        return str(getattr(index.target, "_opname", "")) != "arange"
    signature = program.graph_signature
    name = signature.inputs_to_buffers.get(index.name) or signature.inputs_to_lifted_tensor_constants.get(index.name)
    if name is None:
        return True
    stored = program.state_dict.get(name)
    stored = program.constants.get(name) if stored is None else stored
    return stored is None or (stored.numel() > 0 and int(stored.min()) < 0)


_REWRITES: dict[str, Callable[[Any, Any], None]] = {
    "select": _count_from_the_front,
    "index": _wrap_indices,
}
"""Operator -> what changes a node of it."""
