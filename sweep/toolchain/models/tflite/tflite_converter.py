"""TVM's converter of TFLite operators, with what it refuses or does otherwise than TFLite.

A quantised operator that it does not know is imported as the real one between a dequantisation and a quantisation, as
it does with those that it knows. Operators that only move values are done on the integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tflite
from tvm import relax
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter

from sweep.errors import ImportFailed, SweepError, in_one_line
from sweep.toolchain.models.own_operators import KEEPS_STATE
from sweep.toolchain.models.tflite.densify import dense
from sweep.toolchain.models.tflite.float_views import FloatBuffer, FloatTensor, dequantised
from sweep.toolchain.models.tflite.tflite_operators import TfliteOperators
from sweep.toolchain.models.tflite.tflite_view import stored_values

__all__ = ["TfliteConverter", "refusal"]

_MOVES = frozenset(
    "DEPTH_TO_SPACE DYNAMIC_UPDATE_SLICE EXPAND_DIMS GATHER GATHER_ND MATRIX_DIAG PACK PAD PADV2 MIRROR_PAD RESHAPE "
    "REVERSE_V2 SLICE SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TRANSPOSE UNPACK BROADCAST_TO "
    "RESIZE_NEAREST_NEIGHBOR".split()
)
"""What gives the values that it takes, so the integers where these stand for the same numbers."""
_RAW = frozenset("BITCAST CAST RANK SHAPE ZEROS_LIKE QUANTIZE DEQUANTIZE".split())
"""What takes the integers themselves, or has a way of its own."""
_CONTROL = frozenset("IF WHILE CALL STABLEHLO_WHILE STABLEHLO_COMPOSITE".split())
_NARROW = (tflite.TensorType.INT8, tflite.TensorType.UINT8, tflite.TensorType.INT32)


class TfliteConverter(TfliteOperators):
    """The converter, which `from_tflite` makes one of for each graph."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.convert_map["DYNAMIC_UPDATE_SLICE"] = self.convert_dynamic_update_slice
        self._is_in_floats = False
        """Whether quantised tensors are shown as floats, while one operator is converted."""

    # -- the walk -----------------------------------------------------------------------------------------------------

    def check_unsupported_ops(self) -> None:
        """Raises ImportFailed with all that cannot be imported."""
        names = {self.get_op_code_str(self.subgraph.Operators(i)) for i in range(self.subgraph.OperatorsLength())}
        if (refused := refusal(names, self.convert_map)) is not None:
            raise ImportFailed(refused)

    def get_op_code_str(self, op: Any) -> str:
        """The operator's name; of a custom one `CUSTOM:NAME`."""
        code = self.model.OperatorCodes(op.OpcodeIndex())
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        if number != tflite.BuiltinOperator.CUSTOM:
            return str(self.builtin_op_code.get(number, f"operator {number}"))
        name = (code.CustomCode() or b"?").decode(errors="replace")
        return "DETECTION_POSTPROCESS" if name == "TFLite_Detection_PostProcess" else f"CUSTOM:{name}"

    def convert_op_to_relax(self) -> None:
        """Convert each operator in turn. Raises ImportFailed, which names the one that fails."""
        for index in range(self.subgraph.OperatorsLength()):
            op = self.subgraph.Operators(index)
            name = self.get_op_code_str(op)
            try:
                self._convert(op, name)
            except SweepError as error:
                raise ImportFailed(f"operator {index} {name}: {error}") from error
            except Exception as error:
                told = in_one_line(error) or type(error).__name__
                raise ImportFailed(f"TVM cannot import operator {index} {name}: {told}") from error

    def _convert(self, op: Any, name: str) -> None:
        outputs = self.get_output_tensors(op)
        known = self.subgraph.values
        if outputs and all(output.tensor_idx in known for output in outputs):
            for output in outputs:
                self.set_prefetched_node(output.tensor_idx, known[output.tensor_idx])
            return
        self._is_in_floats = self._needs_floats(name, self.get_input_tensors(op), outputs)
        try:
            result = self.convert_map[name](op=op)
        finally:
            in_floats, self._is_in_floats = self._is_in_floats, False
        if result is None:  # a constant, which is kept as a value
            return
        result = self.bb.normalize(result) if name in _CONTROL else self.bb.emit(result)
        is_tuple = isinstance(result.ty, relax.TupleType)
        for index, output in enumerate(outputs):
            value = result[index] if is_tuple else result
            if in_floats and output.qnn_params:
                value = self.quantize(value, output)
            self.set_expr(output.tensor_idx, self.bb.emit(value) if isinstance(value, relax.Call) else value)

    def set_expr(self, index: int, value: Any) -> None:
        """Keep what a tensor is."""
        self.exp_tab.set_expr(self.subgraph.Tensors(index).name, value)

    def _needs_floats(self, name: str, inputs: list[Any], outputs: list[Any]) -> bool:
        """Whether an operator is converted as one of real numbers though a tensor of it is quantised."""
        quantised = [wrapper for wrapper in (*inputs, *outputs) if wrapper.qnn_params]
        if not quantised or name in _RAW:
            return False
        if name in _MOVES:
            return not all(_same_steps(quantised[0], other) for other in quantised[1:])
        is_whole = bool(inputs and inputs[0].qnn_params) and all(
            wrapper.qnn_params or wrapper.tensor.Type() != tflite.TensorType.FLOAT32 for wrapper in outputs
        )
        is_narrow = all(wrapper.tensor.Type() in _NARROW for wrapper in quantised)
        has_own_way = name in OperatorConverter._SUPPORTED_QUANTIZED_OPS and name != "TRANSPOSE_CONV"
        return not (is_whole and is_narrow and has_own_way)

    # -- tensors ------------------------------------------------------------------------------------------------------

    def get_tensors(self, tensors_idx_list: Any) -> list[Any]:
        """As TVM's; those that are quantised as floats while an operator is converted as one of real numbers."""
        wrappers: list[Any] = super().get_tensors(tensors_idx_list)
        if self._is_in_floats:
            for wrapper in wrappers:
                if wrapper.qnn_params:
                    self._show_as_float(wrapper)
        return wrappers

    def _show_as_float(self, wrapper: Any) -> None:
        tensor = wrapper.tensor
        if not self.has_expr(wrapper.tensor_idx):
            if self.is_prefetched(wrapper.tensor_idx):
                values = super().get_prefetched_node(wrapper.tensor_idx)
            else:
                values = self._constant(tensor, wrapper.buffer)
            wrapper.buffer = FloatBuffer(dequantised(values, tensor))
        wrapper.tensor, wrapper.qnn_params = FloatTensor(tensor), None

    def get_expr(self, input_tensor_idx: int) -> Any:
        """What a tensor is, also where it is a constant."""
        if not self.has_expr(input_tensor_idx):
            (wrapper,) = self.get_tensors(np.asarray([input_tensor_idx]))
            return self.get_tensor_expr(wrapper)
        value = super().get_expr(input_tensor_idx)
        if self._is_in_floats:
            (wrapper,) = super().get_tensors(np.asarray([input_tensor_idx]))
            if wrapper.qnn_params:
                return self.bb.emit(self.dequantize(value, wrapper))
        return value

    def get_prefetched_node(self, input_tensor_idx: int) -> Any:
        """A constant that an operator made of another; in real numbers where these are asked for."""
        value = super().get_prefetched_node(input_tensor_idx)
        if self._is_in_floats:
            tensor = self.subgraph.Tensors(input_tensor_idx)
            about = tensor.Quantization()
            if about is not None and about.ScaleLength():
                return dequantised(value, tensor)
        return value

    def get_tensor_value(self, tensor_wrapper: Any, is_sparse: bool = False) -> Any:
        """The values of a constant, whether the file has them or an operator before made them."""
        if self.is_prefetched(tensor_wrapper.tensor_idx):
            return self.get_prefetched_node(tensor_wrapper.tensor_idx)
        if self.has_expr(tensor_wrapper.tensor_idx):
            raise ImportFailed("takes as a constant what the network computes of its inputs")
        return self._constant(tensor_wrapper.tensor, tensor_wrapper.buffer)

    def _constant(self, tensor: Any, buffer: Any) -> Any:
        values = stored_values(tensor, buffer)
        if tensor.Sparsity() is not None:
            return dense(tensor, values)
        return values.reshape(tuple(tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ())


def refusal(names: set[str], known: dict[str, Callable[..., Any]]) -> str | None:
    """Why a network with operators of these names is not imported, all of them named; None where it is."""
    custom = sorted(name.removeprefix("CUSTOM:") for name in names if name.startswith("CUSTOM:"))
    state = sorted(names & KEEPS_STATE)
    other = sorted(name for name in names - KEEPS_STATE if name not in known and not name.startswith("CUSTOM:"))
    reasons = [
        f"{what} ({', '.join(found)})"
        for what, found in (
            ("operators of its maker's own", custom),
            ("state that is kept from call to call", state),
            ("operators that TVM's importer does not have", other),
        )
        if found
    ]
    return f"the network has {' and '.join(reasons)}" if reasons else None


def _same_steps(one: Any, other: Any) -> bool:
    return all(
        np.array_equal(one.qnn_params[key].value.numpy(), other.qnn_params[key].value.numpy())
        for key in ("scale", "zero_point")
    ) and (one.tensor.Type() == other.tensor.Type())
