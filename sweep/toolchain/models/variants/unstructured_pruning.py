"""Sets single weights of an ONNX network to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.onnx_shapes import copied

__all__ = ["Sparsified", "layer_weights", "sparsified"]

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True)
class Sparsified:
    """A network with zeros among its weights."""

    model: Any
    weights: int
    """Of the layers that take part."""
    zeros: int


def layer_weights(model: Any) -> list[str]:
    """Names of the stored kernels and matrices, in the order of their layers."""
    stored = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) >= 2}
    names = [name for node in model.graph.node if node.op_type in _LAYERS for name in node.input[:2] if name in stored]
    return list(dict.fromkeys(names))


def sparsified(
    model: Any, level: float, method: str, seed: int, *, exclude_first: bool = False, scope: str = "layer"
) -> Sparsified:
    """The network with this share of the weights of its layers at zero.

    method: magnitude, the smallest; or random. scope: layer, the share in each; network, in all together.
    exclude_first: the first layer stays as it is. Raises ImportFailed where no layer is left.
    """
    from onnx import numpy_helper

    model = copied(model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    names = layer_weights(model)[1 if exclude_first else 0 :]
    if not names:
        raise ImportFailed("sparsify: the network has no layer whose weights could be set to zero")
    arrays = [np.array(numpy_helper.to_array(tensors[name])) for name in names]
    generator = np.random.default_rng(seed)
    ranks = [generator.random(array.size) if method == "random" else np.abs(array).reshape(-1) for array in arrays]
    pools = [[index] for index in range(len(arrays))] if scope == "layer" else [list(range(len(arrays)))]
    zeros = 0
    for pool in pools:
        rank = np.concatenate([ranks[index] for index in pool])
        is_gone = np.zeros(rank.size, dtype=bool)
        is_gone[np.argsort(rank, kind="stable")[: round(level * rank.size)]] = True
        zeros += int(is_gone.sum())
        cuts = np.cumsum([arrays[index].size for index in pool])[:-1]
        for index, gone in zip(pool, np.split(is_gone, cuts), strict=True):
            arrays[index].reshape(-1)[gone] = 0
    for name, array in zip(names, arrays, strict=True):
        tensors[name].CopyFrom(numpy_helper.from_array(array, name))
    return Sparsified(model, sum(array.size for array in arrays), zeros)
