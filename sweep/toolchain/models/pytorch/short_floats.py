"""What a program in float16 or bfloat16 adds up, in float32 and then rounded, as torch does on a CPU.

TVM's importer gives float32 for products and convolutions whatever they are of, and refuses what takes these together
with the short ones beside them; its other sums are in the short type.
"""

from __future__ import annotations

from typing import Any

__all__ = ["add_up_in_float32"]

_SUMS = frozenset(
    "_adaptive_avg_pool2d _adaptive_avg_pool3d _log_softmax _native_batch_norm_legit_no_training _softmax addmm "
    "avg_pool1d avg_pool2d avg_pool3d baddbmm bmm convolution cumsum linear matmul mean mm native_group_norm "
    "native_layer_norm scaled_dot_product_attention sum var".split()
)


def add_up_in_float32(graph: Any) -> None:
    """The graph of a program in torch's core operators, in place."""
    for node in list(graph.nodes):
        is_sum = node.op == "call_function" and getattr(node.target, "_opname", "") in _SUMS
        if is_sum and any(map(_is_short, _made(node))):
            _widen(graph, node)


def _made(node: Any) -> tuple[Any, ...]:
    """The tensors that a node gives."""
    value = node.meta.get("val")
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _is_short(tensor: Any) -> bool:
    import torch

    return getattr(tensor, "dtype", None) in (torch.float16, torch.bfloat16)


def _widen(graph: Any, node: Any) -> None:
    import torch

    def whole(taken: Any) -> Any:
        if not _is_short(taken.meta.get("val")):
            return taken
        with graph.inserting_before(node):
            return _cast(graph, taken, torch.float32)

    short = _made(node)
    node.args = torch.fx.map_arg(node.args, whole)
    node.kwargs = torch.fx.map_arg(node.kwargs, whole)
    if not isinstance(node.meta["val"], tuple | list):
        node.meta["val"] = short[0].to(torch.float32)
        _round_again(graph, node, short[0].dtype)
        return
    node.meta["val"] = tuple(each.to(torch.float32) if _is_short(each) else each for each in short)
    for taking in [user for user in node.users if user.op == "call_function"]:  # which take one of them each
        value = taking.meta["val"]
        if _is_short(value):
            taking.meta["val"] = value.to(torch.float32)
            _round_again(graph, taking, value.dtype)


def _round_again(graph: Any, node: Any, dtype: Any) -> None:
    users = list(node.users)
    with graph.inserting_after(node):
        rounded = _cast(graph, node, dtype)
    for user in users:
        user.replace_input_with(node, rounded)


def _cast(graph: Any, node: Any, dtype: Any) -> Any:
    import torch

    made = graph.call_function(torch.ops.aten._to_copy.default, (node,), {"dtype": dtype})
    made.meta = {**node.meta, "val": node.meta["val"].to(dtype)}
    return made
