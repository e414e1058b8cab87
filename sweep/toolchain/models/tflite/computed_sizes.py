"""Which tensors of a TFLite graph are numbers that no value of an input changes: sizes that it computes of others.

Audio networks of TensorFlow frame their signal so: SHAPE, divisions and PACK make the operands of slices and reshapes,
and the file has placeholders for the sizes behind these. LiteRT tells both, once it has run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tflite

from sweep.study.importers.tflite.tflite_outline import GraphOutline, OperatorOutline, TensorOutline

__all__ = ["computed_sizes"]

_ASK = ("SHAPE", "RANK")
_EXACT = frozenset(
    "ABS ADD CAST CONCATENATION DIV EQUAL EXPAND_DIMS FILL FLOOR_DIV FLOOR_MOD GATHER GREATER GREATER_EQUAL LESS "
    "LESS_EQUAL LOGICAL_AND LOGICAL_NOT LOGICAL_OR MAXIMUM MINIMUM MUL NEG NOT_EQUAL PACK POW RANGE REDUCE_MAX "
    "REDUCE_MIN REDUCE_PROD RESHAPE SELECT SELECT_V2 SLICE SPLIT SPLIT_V SQUEEZE STRIDED_SLICE SUB SUM TILE UNPACK "
    "ZEROS_LIKE".split()
)
_INTEGERS = ("bool", "int32", "int64")
_DECIDING: dict[str, Sequence[int]] = {
    "BATCH_TO_SPACE_ND": (1, 2),
    "BROADCAST_TO": (1,),
    "EXPAND_DIMS": (1,),
    "FILL": (0,),
    "MIRROR_PAD": (1,),
    "ONE_HOT": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANGE": (0, 1, 2),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "SPACE_TO_BATCH_ND": (1, 2),
    "SPLIT_V": (1,),
    "STRIDED_SLICE": (1, 2, 3),
    "TILE": (1,),
    "TOPK_V2": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
}
"""Operator -> its operands that decide the shape of its result."""
_BY_DATA = ("UNIQUE", "WHERE")
_MOST_ELEMENTS = 4096


def computed_sizes(graph: GraphOutline) -> list[int]:
    """The tensors, by index; none where the graph asks for no size, or where values of an input decide one."""
    names = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
    operators = [(names.get(each.code, ""), each) for each in graph.operators]
    if not any(name in _ASK for name, _ in operators):
        return []
    known = {index for index, tensor in enumerate(graph.tensors) if tensor.is_constant}
    made: dict[int, None] = {}
    for name, each in operators:
        inputs = [index for index in each.inputs if index >= 0]
        if name in _BY_DATA or not known.issuperset(each.inputs[at] for at in _deciding(name, each)):
            return []
        is_known = name in _ASK or (name in _EXACT and bool(made.keys() & inputs) and known.issuperset(inputs))
        if is_known and all(_is_size(graph.tensors[index]) for index in each.outputs):
            made.update(dict.fromkeys(each.outputs))
            known.update(each.outputs)
    return list(made)


def _deciding(name: str, operator: OperatorOutline) -> list[int]:
    places = _DECIDING.get(name, ())
    return [at for at in places if at < len(operator.inputs) and operator.inputs[at] >= 0]


def _is_size(tensor: TensorOutline) -> bool:
    return tensor.dtype in _INTEGERS and not tensor.scales and math.prod(tensor.shape) <= _MOST_ELEMENTS
