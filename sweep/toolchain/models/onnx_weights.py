"""Weights that mean something for networks that ship without any.

The light models of the onnx package fill every weight with one constant (`ConstantOfShape`), so that each channel
computes the same and a wrong layout or a swapped channel shows in no output. Seeded random weights of a trained
network's scale take their place here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.models.onnx_simplify import set_nodes

__all__ = ["calibrate_outputs", "seed_weights"]

_Array = npt.NDArray[Any]

_OUTPUT_SPREAD = 4.0
"""A softmax over a thousand of that spread has its greatest near 0.2: neither flat nor saturated."""

_PASS_THROUGH = ("Unsqueeze", "Squeeze", "Reshape", "Identity", "Flatten")


def seed_weights(model: Any, seed: int) -> int:
    """Replace each floating-point `ConstantOfShape` of a constant shape by an initialiser of seeded random values;
    how many were.

    The scale comes from the consumer: He's (a normal of variance 2 over fan-in) for a convolution or a matrix product,
    0.5 to 1.5 for a factor or a variance, small for an offset or a mean. A weight's values depend on the seed and its
    name alone.
    """
    from onnx import numpy_helper

    known = {tensor.name: tensor for tensor in model.graph.initializer}
    users = _users(model)
    kept, made = [], []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in known:
            kept.append(node)
            continue
        shape = tuple(int(size) for size in numpy_helper.to_array(known[node.input[0]]))
        value = next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), np.zeros(1, np.float32))
        name = node.output[0]
        if np.issubdtype(value.dtype, np.floating):
            array = _random(shape, _role(name, shape, users, known), _generator(seed, name)).astype(value.dtype)
            made.append(numpy_helper.from_array(array, name))
        else:
            made.append(numpy_helper.from_array(np.full(shape, value.reshape(-1)[0]), name))
    set_nodes(model, kept)
    model.graph.initializer.extend(made)
    return len(made)


def calibrate_outputs(model: Any, feeds: Mapping[str, _Array]) -> list[str]:
    """Scale the last weighted layer to outputs of a standard deviation near 4: a softmax over them then says something.

    Returns the names of the weights that were scaled; by how much depends on the feeds.

    Residual networks double their variance in every block when no trained batch norm holds it: ShuffleNet's softmax
    was a clean 0 or 1, on which every comparison of outputs succeeds. The factor is a power of two, so that it is the
    same on every machine.
    """
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul") and n.input[1] in stored]
    if not layers:
        return []
    last = layers[-1]
    probe = type(model).FromString(model.SerializeToString())
    del probe.graph.output[:]
    probe.graph.output.append(helper.make_tensor_value_info(last.output[0], TensorProto.FLOAT, None))
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
        spread = float(np.std(session.run(None, dict(feeds))[0]))
    except Exception:  # noqa: BLE001  (without ONNX Runtime's answer there is no comparison to save either)
        return []
    if not math.isfinite(spread) or spread <= 0:
        return []
    factor = np.float32(2.0 ** -round(math.log2(spread / _OUTPUT_SPREAD)))
    scaled = [name for name in last.input[1:] if name in stored]
    for name in scaled:
        stored[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored[name]) * factor, name))
    return scaled


def _users(model: Any) -> dict[str, list[tuple[Any, int]]]:
    users: dict[str, list[tuple[Any, int]]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            users.setdefault(name, []).append((node, index))
    return users


def _role(name: str, shape: tuple[int, ...], users: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[str, int]:
    """What a weight is to its first consumer, with its fan-in: ("weight", n), ("factor", 0), ("offset", 0)."""
    from onnx import numpy_helper

    for node, index in users.get(name, ()):
        if node.op_type in _PASS_THROUGH and index == 0:
            new_shape = shape
            if node.op_type == "Reshape" and node.input[1] in known:
                new_shape = tuple(int(size) for size in numpy_helper.to_array(known[node.input[1]]))
            return _role(node.output[0], new_shape, users, known)
        if node.op_type in ("Conv", "ConvTranspose") and index == 1:
            return "weight", math.prod(shape[1:])
        if node.op_type == "Gemm" and index == 1:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            return "weight", shape[-1] if transposed else shape[-2]
        if node.op_type == "MatMul":
            return "weight", shape[-2] if index == 1 and len(shape) > 1 else shape[-1]
        if node.op_type == "Mul" or (node.op_type == "BatchNormalization" and index in (1, 4)):
            return "factor", 0
    return "offset", 0


def _random(shape: tuple[int, ...], role: tuple[str, int], generator: np.random.Generator) -> _Array:
    kind, fan_in = role
    if kind == "weight":
        return generator.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(2.0 / max(1, fan_in)))
    if kind == "factor":
        return generator.uniform(0.5, 1.5, shape)
    return generator.normal(0.0, 0.05, shape)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])
