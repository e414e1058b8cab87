"""Whether the values of a network fit into float16: where they do not, they become infinite, and outputs nonsense.

Many that do not fit do no harm: a mask of -1e9 or of float32's least number is meant to be as good as minus infinity,
and a bound of a clip may lie anywhere. No rule tells those from others, so the network is tried: what float16 cannot
hold is made infinite, and all else stays as float32 has it.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweep.files.atomic import write_text
from sweep.files.npz import load_arrays
from sweep.files.sweep_dir import network_file
from sweep.toolchain.models.expected_output import run_onnxruntime

__all__ = ["FLOAT16_MOST", "beyond_float16"]

FLOAT16_MOST = float(np.finfo(np.float16).max)
_KEPT = "float16_range.json"
_PEAK, _EXACT, _UP, _MADE = "sweep_peak_of_", "_sweep_exact", "sweep_up", "_sweep_up"
_POWER = 2.0**112
"""Times 2**16, the first power of two that float16 does not have, it is beyond float32; exact for all below."""
_APART = 1e-2
"""Of an output's largest magnitude: more than float16's rounding, which is no part of the trial."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A float32 value of the graph that float16 may not hold."""

    name: str
    node: int
    """The first that has to do with it: it gives the value, or takes the constant."""
    is_constant: bool


def beyond_float16(import_dir: Path) -> dict[str, Any] | None:
    """The first layer of an imported network whose values exceed float16's range, so that its outputs become others, on
    the inputs that they are compared on, computed in float32 by ONNX Runtime: `layer`, `operator`, and `value`, the
    largest of its finite magnitudes.

    None where all fit or what does not does no harm, and where nobody can tell: the import has no ONNX form, or ONNX
    Runtime does not run it. What was found is kept in the import's folder: many lowerings of a network ask for it.
    """
    path, inputs, kept = import_dir / network_file("onnx"), import_dir / "inputs.npz", import_dir / _KEPT
    if not (path.is_file() and inputs.is_file()):
        return None
    try:
        if kept.is_file():
            return _read(kept)
        found = _first_harm(path, load_arrays(inputs))
        with suppress(OSError):  # it is found again
            write_text(kept, json.dumps({"beyond": found}, allow_nan=False))
    except Exception:  # noqa: BLE001 - a network that ONNX Runtime refuses lacks this note, and nothing else
        return None
    return found


def _read(kept: Path) -> dict[str, Any] | None:
    beyond: dict[str, Any] | None = json.loads(kept.read_text(encoding="utf-8"))["beyond"]
    return beyond


def _first_harm(path: Path, inputs: dict[str, Any]) -> dict[str, Any] | None:
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    outside = _outside(model, inputs)
    if not outside:
        return None
    expected = _run(model, inputs)

    def harms(first: int) -> bool:
        """Whether outputs become others where so many of the values are as float16 has them."""
        return not _same(_run(_limited(model, outside[:first]), inputs), expected)

    if not harms(len(outside)):
        return None
    number = bisect.bisect_left(range(1, len(outside)), True, key=harms)
    found = outside[number]
    node = model.graph.node[found.node]
    return {
        "layer": node.name or node.output[0],
        "operator": node.op_type,
        "value": _largest(_limited(model, outside[:number]), found, inputs),
    }


def _outside(model: Any, inputs: dict[str, Any]) -> list[_Value]:
    """In the order of the graph."""
    from onnx import helper

    values = list(_floats(model.graph))
    peaked = _copy(model)
    del peaked.graph.output[:]
    computed = [value for value in values if not value.is_constant]
    for value in computed:
        _add_peak(peaked.graph, value.name, helper)
    peaks = _run(peaked, inputs) if computed else []
    too_large = {value.name for value, peak in zip(computed, peaks, strict=True) if not float(peak) <= FLOAT16_MOST}
    arrays = _constants(model.graph)
    return [
        value
        for value in values
        if (_peak_of(arrays[value.name]) > FLOAT16_MOST if value.is_constant else value.name in too_large)
    ]


def _floats(graph: Any) -> Iterator[_Value]:
    """What is float32 in a graph, each once: a constant before what the first node that takes it gives."""
    from onnx import TensorProto

    known = (*graph.value_info, *graph.output)
    floats = {one.name for one in known if one.type.tensor_type.elem_type == TensorProto.FLOAT}
    constants = {name for name, array in _constants(graph).items() if array.dtype == np.float32}
    for number, node in enumerate(graph.node):
        for name in node.input:
            if name in constants:
                constants.discard(name)
                yield _Value(name, number, is_constant=True)
        for name in node.output:
            if name in floats and node.op_type != "Constant":
                yield _Value(name, number, is_constant=False)


def _constants(graph: Any) -> dict[str, Any]:
    """The arrays of initialisers and of nodes that hold one."""
    from onnx import numpy_helper

    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        for held in node.attribute if node.op_type == "Constant" else ():
            if held.name == "value":
                arrays[node.output[0]] = numpy_helper.to_array(held.t)
    return arrays


def _limited(model: Any, values: list[_Value]) -> Any:
    """The network with these values as float16 has them where it cannot hold them."""
    from onnx import helper, numpy_helper

    limited = _copy(model)
    graph, arrays = limited.graph, _constants(limited.graph)
    names = {value.name for value in values if not value.is_constant}
    for name in [value.name for value in values if value.is_constant]:
        array = np.where(np.abs(arrays[name]) > FLOAT16_MOST, np.copysign(np.inf, arrays[name]), arrays[name])
        stored = numpy_helper.from_array(array.astype(np.float32), name)
        held = [one for one in graph.initializer if one.name == name]
        held += [one.t for node in graph.node if name in node.output for one in node.attribute if one.name == "value"]
        for one in held:
            one.CopyFrom(stored)
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.append(helper.make_node("Constant", [], [_UP], value=numpy_helper.from_array(np.float32(_POWER))))
    for node in nodes:
        made = [name for name in node.output if name in names]
        for number, name in enumerate(node.output):
            if name in names:
                node.output[number] = f"{name}{_EXACT}"
        graph.node.append(node)
        for name in made:
            graph.node.append(helper.make_node("Mul", [f"{name}{_EXACT}", _UP], [f"{name}{_MADE}"]))
            graph.node.append(helper.make_node("Div", [f"{name}{_MADE}", _UP], [name]))
    return limited


def _add_peak(graph: Any, name: str, helper: Any) -> None:
    from onnx import TensorProto

    peak = f"{_PEAK}{name}"
    graph.node.append(helper.make_node("Abs", [name], [f"{peak}_abs"]))
    graph.node.append(helper.make_node("ReduceMax", [f"{peak}_abs"], [peak], keepdims=0))
    graph.output.append(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []))


def _largest(model: Any, value: _Value, inputs: dict[str, Any]) -> float:
    """The largest finite magnitude of a value."""
    from onnx import TensorProto, helper

    if value.is_constant:
        return _peak_of(_constants(model.graph)[value.name])
    alone = _copy(model)
    del alone.graph.output[:]
    alone.graph.output.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, None))
    return _peak_of(_run(alone, inputs)[0])


def _peak_of(array: Any) -> float:
    """0 where no number is finite."""
    magnitudes = np.abs(array[np.isfinite(array)].astype(np.float64))
    return float(magnitudes.max(initial=0.0))


def _same(outputs: list[Any], expected: list[Any]) -> bool:
    return all(_alike(*pair) for pair in zip(outputs, expected, strict=True))


def _alike(output: Any, expected: Any) -> bool:
    if expected.dtype.kind != "f":
        return bool(np.array_equal(output, expected))
    finite = np.isfinite(expected)
    if not np.array_equal(output[~finite], expected[~finite], equal_nan=True):
        return False
    return bool((np.abs(output[finite] - expected[finite]) <= _APART * _peak_of(expected)).all())


def _run(model: Any, inputs: dict[str, Any]) -> list[Any]:
    return run_onnxruntime(model.SerializeToString(), inputs)


def _copy(model: Any) -> Any:
    copied = type(model)()
    copied.CopyFrom(model)
    return copied
