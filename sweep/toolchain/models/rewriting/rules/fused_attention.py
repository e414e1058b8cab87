"""Attention as ONNX Runtime's optimiser fuses it: products, a mask that is added, a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]

_BOOL, _INT64 = 9, 7
_HIDING = -10000.0
"""What is added to a score that a mask hides, where the operator does not say."""


def _heads(network: Rewriter, value: str, count: int) -> str:
    """[batch, length, heads x size] as [batch, heads, length, size]."""
    batch, length, width = network.shape(value) or (0, 0, 0)
    parted = network.op("Reshape", value, np.array([batch, length, count, width // count]))
    return network.op("Transpose", parted, perm=[0, 2, 1, 3])


def _attended(network: Rewriter, call: Call, operands: Sequence[str], added: Sequence[str]) -> str:
    """[batch, length, heads x size] of queries, keys and values by heads, and what is added to the scores."""
    query, keys, values = operands
    batch, heads, length, size = network.shape(query) or (0, 0, 0, 1)
    factor = call.get("scale", 0.0) or 1 / np.sqrt(size)
    scaled = network.op("Mul", query, np.array(factor, network.dtype(query)))
    scores = network.op("MatMul", scaled, network.op("Transpose", keys, perm=[0, 1, 3, 2]))
    for value in added:
        scores = network.op("Add", scores, value)
    result = network.op("MatMul", network.op("Softmax", scores, axis=-1), values)
    width = (network.shape(values) or (0,))[-1]
    return network.op(
        "Reshape", network.op("Transpose", result, perm=[0, 2, 1, 3]), np.array([batch, length, heads * width])
    )


def _hidden(network: Rewriter, call: Call, mask: str, scores: tuple[int, int, int]) -> str:
    """What a mask adds. scores: [batch, queries, keys]."""
    batch, queries, keys = scores
    shape = network.shape(mask)
    zero = np.zeros((), np.int64)
    if shape in ((batch,), (2 * batch,)):
        places = np.arange(keys)[None]
        bounds = network.op("Reshape", network.op("Cast", mask, to=_INT64), np.array([-1, batch, 1]))
        seen = network.op("Less", places, network.op("Gather", bounds, zero, axis=0))
        if shape == (2 * batch,):  # ends, then beginnings
            before = network.op("Less", places, network.op("Gather", bounds, zero + 1, axis=0))
            seen = network.op("And", seen, network.op("Not", before))
        seen = network.op("Reshape", seen, np.array([batch, 1, 1, keys]))
    elif shape in ((batch, keys), (batch, queries, keys)):
        given = network.op("Greater", network.op("Cast", mask, to=_INT64), zero)
        seen = network.op("Reshape", given, np.array([batch, 1, shape[1] if shape[2:] else 1, keys]))
    elif shape and shape[:2] == (batch, 1) and len(shape) == 4:
        rows = (np.array([keys - queries, 0]), np.array([keys, keys]), np.array([2, 3]))
        part = network.op("Slice", network.op("Cast", mask, to=_INT64), *rows)
        seen = network.op("Greater", part, zero)
    else:
        shown = "one that is not known" if shape is None else str(list(shape))
        raise ImportFailed(f"{call.label}: a mask of the shape {shown} is not supported")
    kind = network.dtype(call.input(0))
    hiding = np.array(call.get("mask_filter_value", _HIDING), kind)
    return network.op("Where", seen, np.zeros((), kind), hiding)


def _added(network: Rewriter, call: Call, mask: str, bias: str, scores: tuple[int, int, int]) -> list[str]:
    """What is added to scores: by a mask, by the order of the sequence, by an input."""
    _, queries, keys = scores
    added = [_hidden(network, call, mask, scores)] if mask else []
    if call.get("unidirectional", 0):
        kind = network.dtype(call.input(0))
        later = np.arange(keys)[None] > np.arange(queries)[:, None] + keys - queries
        added.append(network.keep(np.where(later, np.finfo(kind).min, 0).astype(kind)))
    return [*added, bias] if bias else added


def _attention(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Attention: x, the weights of queries, keys and values in one, a bias, a mask, earlier keys and values."""
    shape, weights = network.shape(call.input(0)), network.shape(call.input(1))
    if shape is None or weights is None or call.get("do_rotary", 0) or call.input(6):
        return None
    batch, length, _ = shape
    heads = int(call.get("num_heads"))
    widths = [int(size) for size in call.get("qkv_hidden_sizes") or [weights[1] // 3] * 3]
    joint = network.op("MatMul", call.input(0), call.input(1))
    if call.input(2):
        joint = network.op("Add", joint, call.input(2))
    ends = np.cumsum(widths)
    parts = [
        network.op("Slice", joint, np.array([end - width]), np.array([end]), np.array([2]))
        for end, width in zip(ends, widths, strict=True)
    ]
    query, keys, values = (_heads(network, part, heads) for part in parts)
    if call.input(4):
        earlier = [network.op("Gather", call.input(4), np.array(at), axis=0) for at in (0, 1)]
        keys, values = (network.op("Concat", *pair, axis=2) for pair in zip(earlier, (keys, values), strict=True))
    count = (network.shape(keys) or (0, 0, length))[2]
    added = _added(network, call, call.input(3), call.input(5), (batch, length, count))
    result = [_attended(network, call, (query, keys, values), added)]
    if call.output(1):
        both = [network.op("Unsqueeze", value, np.array([0])) for value in (keys, values)]
        result.append(network.op("Concat", *both, axis=0))
    return result


def _of_many_heads(network: Rewriter, call: Call) -> Sequence[str] | None:
    """MultiHeadAttention: queries, keys, values, their bias, a mask, what is added, earlier keys and values."""
    shapes = [network.shape(call.input(index)) for index in range(3)]
    if any(shape is None for shape in shapes) or len(shapes[0] or ()) != 3 or call.output(3) or any(call.inputs[8:]):
        return None
    heads, operands, offset = int(call.get("num_heads")), [], 0
    for index, shape in enumerate(shapes):
        value = call.input(index)
        if shape is not None and len(shape) == 4:
            operands.append(value)
            continue
        width = (shape or (0,))[-1]
        if call.input(3):
            bounds = (np.array([offset]), np.array([offset + width]), np.array([0]))
            value = network.op("Add", value, network.op("Slice", call.input(3), *bounds))
        offset += width
        operands.append(_heads(network, value, heads))
    query, keys, values = operands
    if call.input(6) and call.input(7):
        keys = network.op("Concat", call.input(6), keys, axis=2)
        values = network.op("Concat", call.input(7), values, axis=2)
    sizes, batch, length = network.shape(keys), *(shapes[0] or (0, 0))[:2]
    if sizes is None:
        return None
    added = _added(network, call, call.input(4), call.input(5), (batch, length, sizes[2]))
    return [_attended(network, call, (query, keys, values), added), keys, values]


def _quantised(network: Rewriter, call: Call) -> Sequence[str] | None:
    """QAttention: x and weights as codes, with their scales and zero points."""
    zeros = [[name] if (name := call.input(index)) else [] for index in (6, 7)]
    data = network.op("DequantizeLinear", call.input(0), call.input(3), *zeros[0])
    weights = network.op("DequantizeLinear", call.input(1), call.input(4), *zeros[1], axis=1)
    plain = replace(
        call,
        operator="com.microsoft.Attention",
        inputs=[data, weights, call.input(2), call.input(5), call.input(8)],
    )
    return _attention(network, plain)


def _turned(network: Rewriter, call: Call) -> Sequence[str] | None:
    """RotaryEmbedding: pairs of values, turned by the angle of their place."""
    shape, table = network.shape(call.input(0)), network.shape(call.input(2))
    places = network.shape(call.input(1))
    if shape is None or table is None or places is None:
        return None
    if call.get("is_packed_batching", 0) or call.get("scale", 1.0) != 1.0:
        return None
    data, half = call.input(0), table[1]
    if len(shape) == 3:
        count = int(call.get("num_heads", 0)) or shape[2] // (2 * half)
        data = _heads(network, data, count)
    batch, heads, length, size = network.shape(data) or (0, 0, 0, 0)
    at = call.input(1)
    if places == (1,):
        at = network.op("Add", at, np.arange(length)[None])
    cosines, sines = (
        network.op("Unsqueeze", network.op("Gather", call.input(index), at, axis=0), np.array([1])) for index in (2, 3)
    )
    last = np.array([3])
    moved = network.op("Slice", data, np.array([0]), np.array([2 * half]), last)
    if call.get("interleaved", 0):
        pairs = network.op("Reshape", moved, np.array([batch, heads, length, half, 2]))
        one, other = (network.op("Gather", pairs, np.array(index), axis=4) for index in (0, 1))
    else:
        one, other = (network.op("Slice", moved, np.array([a]), np.array([a + half]), last) for a in (0, half))
    turned = [
        network.op("Sub", network.op("Mul", one, cosines), network.op("Mul", other, sines)),
        network.op("Add", network.op("Mul", one, sines), network.op("Mul", other, cosines)),
    ]
    if call.get("interleaved", 0):
        columns = [network.op("Unsqueeze", value, np.array([4])) for value in turned]
        joined = network.op("Concat", *columns, axis=4)
        result = network.op("Reshape", joined, np.array([batch, heads, length, 2 * half]))
    else:
        result = network.op("Concat", *turned, axis=3)
    if size > 2 * half:
        rest = network.op("Slice", data, np.array([2 * half]), np.array([size]), last)
        result = network.op("Concat", result, rest, axis=3)
    if len(shape) == 3:
        result = network.op("Reshape", network.op("Transpose", result, perm=[0, 2, 1, 3]), np.array(shape))
    return [result]


def _total(network: Rewriter, call: Call, bias: int) -> str | None:
    """What a normalisation that skips takes: x, what is added to it, and a bias; None where more is asked for than its
    fourth output, which is that sum. bias: number of the input.
    """
    if call.output(1) or call.output(2):
        return None
    total = network.op("Add", call.input(0), call.input(1))
    return network.op("Add", total, call.input(bias)) if call.input(bias) else total


def _skipping(network: Rewriter, call: Call) -> Sequence[str] | None:
    """SkipLayerNormalization: behind the two that it adds a factor, an offset, a bias."""
    if (total := _total(network, call, 4)) is None:
        return None
    offset = [call.input(3)] if call.input(3) else []
    epsilon = call.get("epsilon", 1e-12)
    return [network.op("LayerNormalization", total, call.input(2), *offset, axis=-1, epsilon=epsilon), "", "", total]


def _skipping_simplified(network: Rewriter, call: Call) -> Sequence[str] | None:
    """SkipSimplifiedLayerNormalization: behind the two that it adds a factor, a bias."""
    if (total := _total(network, call, 3)) is None:
        return None
    simplified = "com.microsoft.SimplifiedLayerNormalization"
    return [network.op(simplified, total, call.input(2), epsilon=call.get("epsilon", 1e-12)), "", "", total]


def _embedded(network: Rewriter, call: Call) -> Sequence[str] | None:
    """EmbedLayerNormalization: the rows of ids, places and kinds of tokens, added up; how many ids a mask shows."""
    shape = network.shape(call.input(0))
    if shape is None:
        return None
    total = network.op("Gather", call.input(2), call.input(0), axis=0)
    places = call.input(8) or network.keep(np.arange(shape[1])[None])
    total = network.op("Add", total, network.op("Gather", call.input(3), places, axis=0))
    if call.input(1) and call.input(4):
        total = network.op("Add", total, network.op("Gather", call.input(4), call.input(1), axis=0))
    epsilon = call.get("epsilon", 1e-12)
    result = network.op("LayerNormalization", total, call.input(5), call.input(6), axis=-1, epsilon=epsilon)
    if call.input(7):
        shown = network.op("ReduceSum", call.input(7), np.array([1]), keepdims=0)
    else:
        shown = network.keep(np.zeros(shape[0], np.int32))
    return [result, shown, total]


RULES = {
    "com.microsoft.Attention": _attention,
    "com.microsoft.EmbedLayerNormalization": _embedded,
    "com.microsoft.MultiHeadAttention": _of_many_heads,
    "com.microsoft.QAttention": _quantised,
    "com.microsoft.RotaryEmbedding": _turned,
    "com.microsoft.SkipLayerNormalization": _skipping,
    "com.microsoft.SkipSimplifiedLayerNormalization": _skipping_simplified,
}
