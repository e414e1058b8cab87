"""`Resize` in the forms that TVM's importer lacks or does otherwise: along each axis a product with a matrix, or a
selection, whose numbers onnx's reference evaluator gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES", "is_known", "is_whole"]

_INT64 = 7


def _resize(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Of fixed sizes."""
    shape = network.shape(call.input(0))
    scales = network.constant(call.input(2)) if call.input(2) else None
    sizes = network.constant(call.input(3)) if call.input(3) else None
    if shape is None or (scales is None or not scales.size) == (sizes is None):
        return None
    if is_known(call.attributes, shape, scales, sizes):
        if scales is None or scales.size:
            return None
        return [network.op("Resize", call.input(0), "", "", call.input(3), **call.attributes)]  # PyTorch's of opset 11
    mode, transformation = call.get("mode", "nearest"), call.get("coordinate_transformation_mode", "half_pixel")
    if transformation == "tf_crop_and_resize":
        return _cropped(network, call, shape, scales, sizes)
    axes = [axis % len(shape) for axis in call.get("axes") or range(len(shape))]
    targets, factors = _targets(shape, axes, scales, sizes, call.get("keep_aspect_ratio_policy", "stretch"))
    value, kept = call.input(0), _attributes(call)
    for axis in axes:
        if targets[axis] == shape[axis] and factors[axis] == 1.0:
            continue
        value = _along(network, value, axis, (shape[axis], targets[axis], factors[axis]), kept, mode)
    return [value]


def _cropped(network: Rewriter, call: Call, shape: Sequence[int], scales: Any, sizes: Any) -> Sequence[str] | None:
    """Of a region along some axes: as one along all, of which TVM's importer knows."""
    region, axes = network.constant(call.input(1)), call.get("axes")
    if not axes or region is None or sizes is None:
        return None
    rank, count = len(shape), len(axes)
    whole = np.concatenate([np.zeros(rank), np.ones(rank)]).astype(region.dtype)
    targets = np.array(shape, np.int64)
    for number, axis in enumerate(axes):
        whole[[axis % rank, rank + axis % rank]] = region[[number, count + number]]
        targets[axis % rank] = sizes[number]
    kept = {name: value for name, value in call.attributes.items() if name != "axes"}
    return [network.op("Resize", call.input(0), whole, "", targets, **kept)]


def is_known(attributes: Mapping[str, Any], shape: Sequence[int], scales: Any, sizes: Any) -> bool:
    """Whether TVM's importer does it as ONNX says: it takes the quotient of two sizes for a scale, and resizes behind
    the second axis alone.
    """
    rank, get = len(shape), attributes.get
    if get("axes") or get("antialias", 0) or get("exclude_outside", 0) or rank not in (3, 4, 5):
        return False
    if get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return False
    given = scales if sizes is None else sizes
    if given is not None and (len(given) != rank or list(given[:2]) != ([1, 1] if sizes is None else list(shape[:2]))):
        return False
    if sizes is None and not is_whole(shape, scales):
        return False
    mode, nearest = get("mode", "nearest"), get("nearest_mode", "round_prefer_floor")
    transformation = get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return bool(transformation == "asymmetric" and nearest == "floor")
    known = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
    return bool(mode == "linear" and transformation in known)


def is_whole(shape: Sequence[int], scales: Any) -> bool:
    """Whether scales give whole sizes."""
    products = np.array(shape) * np.asarray(scales, np.float64)
    return bool(np.allclose(products, np.round(products), rtol=0, atol=1e-4))


def _attributes(call: Call) -> dict[str, Any]:
    """Those that decide the numbers along an axis."""
    names = ("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside", "antialias")
    return {name: call.attributes[name] for name in names if name in call.attributes}


def _targets(
    shape: Sequence[int], axes: Sequence[int], scales: Any, sizes: Any, policy: str
) -> tuple[dict[int, int], dict[int, float]]:
    """The size and the factor of each axis."""
    if sizes is None:
        factors = {axis: float(scales[number]) for number, axis in enumerate(axes)}
        return {axis: int(np.floor(np.float32(shape[axis]) * np.float32(factors[axis]))) for axis in axes}, factors
    targets = {axis: int(sizes[number]) for number, axis in enumerate(axes)}
    factors = {axis: targets[axis] / shape[axis] for axis in axes}
    if policy != "stretch":
        one = (min if policy == "not_larger" else max)(factors.values())
        targets = {axis: int(np.floor(one * shape[axis] + 0.5)) for axis in axes}
        factors = dict.fromkeys(axes, one)
    return targets, factors


def _along(
    network: Rewriter, value: str, axis: int, sizes: tuple[int, int, float], attributes: dict[str, Any], mode: str
) -> str:
    matrix = _matrix(sizes, attributes)
    if mode == "nearest":
        return network.op("Gather", value, matrix.argmax(axis=0).astype(np.int64), axis=axis)
    element, kind = network.element(value), network.dtype(value)
    floats = value if kind.kind == "f" else network.op("Cast", value, to=1)
    result = network.along(floats, axis, matrix.astype(network.dtype(floats)))
    return result if kind.kind == "f" else network.op("Cast", network.op("Round", result), to=element)


def _matrix(sizes: tuple[int, int, float], attributes: dict[str, Any]) -> Any:
    """[from, to]: what each input along an axis adds to each output."""
    length, target, factor = sizes
    basis = np.eye(length, dtype=np.float32)
    if factor == target / length:
        return _rows(basis, np.array([target]), attributes)
    given = np.array([factor], np.float32)
    rows = _rows(basis, given, attributes)
    if rows.shape[1] < target:  # 8.9999 is 9 in 32 bits, and a kept aspect rounds: the edge goes on behind the end
        rows = _rows(np.concatenate([basis, basis[:, -1:], basis[:, -1:]], axis=1), given, attributes)
    return rows[:, :target]


def _rows(basis: Any, given: Any, attributes: dict[str, Any]) -> Any:
    """Each of the rows, resized."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    is_size = given.dtype == np.int64
    name, kind = ("sizes", _INT64) if is_size else ("scales", 1)
    node = helper.make_node("Resize", ["x", "", "", name] if is_size else ["x", "", name], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "along",
        [helper.make_tensor_value_info("x", 1, [basis.shape[1]]), helper.make_tensor_value_info(name, kind, [1])],
        [helper.make_tensor_value_info("y", 1, None)],
    )
    evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]))
    return np.stack([evaluator.run(None, {"x": row, name: given})[0] for row in basis])


RULES: dict[str, Rule] = {"Resize": _resize}
