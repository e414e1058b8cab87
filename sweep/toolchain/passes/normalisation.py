"""Makes local response normalisation one function.

TVM imports it as a square, a pooling over a fifth dimension and a power: three functions, the last of which calls the
C library's `pow` for every element. Here the sum over neighbouring channels is written out, and the usual exponent of
3/4 is two square roots, which vectorise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tvm import relax, te, tirx
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import bound_values, operator_of

__all__ = ["FuseLocalResponse"]


@dataclass(frozen=True, slots=True)
class _Response:
    """`data / (bias + alpha * mean of squares) ** beta`, the mean over a window of channels, zeros outside."""

    data: Any
    axis: int
    before: int
    window: int
    bias: float
    alpha: float
    beta: float


@module_pass(opt_level=0, name="FuseLocalResponse")
class FuseLocalResponse:
    """The pass: the chain of operators that TVM's ONNX importer makes of `LRN`, in any layout."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with each chain replaced by one function."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                fuser = _Fuser(module, bound_values(function))
                fuser.builder_.update_func(name, relax.analysis.remove_all_unused(fuser.visit_expr(function)))
                module = fuser.builder_.get()
        return module


@mutator
class _Fuser(PyExprMutator):
    def __init__(self, module: Any, values: Mapping[Any, Any]) -> None:
        super().__init__(module)
        self._values = values

    def visit_call_(self, call: Any) -> Any:
        response = _response(call, self._values) if operator_of(call) == "relax.divide" else None
        if response is None:
            return super().visit_call_(call)
        data = self.visit_expr(response.data)
        return self.builder_.call_te(_compute(response), data, primfunc_name_hint="local_response")


def _response(call: Any, values: Mapping[Any, Any]) -> _Response | None:
    data = call.args[0]
    found: list[Any] = []
    value = values.get(call.args[1])
    for name in ("power", "add", "multiply", "squeeze", "nn.avg_pool3d", "expand_dims", "multiply"):
        if value is None or operator_of(value) != f"relax.{name}":
            return None
        found.append(value)
        value = values.get(value.args[0])
    power, plus, times, _, pool, expand, square = found
    if not (square.args[0].same_as(data) and square.args[1].same_as(data)):
        return None
    beta, bias, alpha = (_scalar(each.args[1]) for each in (power, plus, times))
    attrs, rank = pool.attrs, len(data.ty.shape)
    window, *others = (int(size) for size in attrs.pool_size)
    padding = [int(size) for size in attrs.padding]
    added = [int(axis) for axis in expand.attrs.axis]
    steps = {int(size) for size in (*attrs.strides, *attrs.dilation, *others)}
    sums_channels = steps == {1} and bool(attrs.count_include_pad) and padding[0] + padding[3] == window - 1
    if None in (beta, bias, alpha) or not sums_channels or rank != 4 or len(added) != 1:
        return None
    depth = str(attrs.layout).index("D")
    axis = depth - (added[0] < depth)
    return _Response(data, axis, padding[0], window, float(bias or 0), float(alpha or 0), float(beta or 0))


def _compute(response: _Response) -> Callable[[Any], Any]:
    def local_response(data: Any) -> Any:
        shape, axis, dtype = list(data.shape), response.axis, data.dtype
        padded = [size + response.window - 1 if dimension == axis else size for dimension, size in enumerate(shape)]

        def at(index: Any, channel: Any) -> list[Any]:
            return [channel if dimension == axis else each for dimension, each in enumerate(index)]

        def square(*index: Any) -> Any:
            channel = index[axis] - response.before
            inside = tirx.all(channel >= 0, channel < shape[axis])
            value = data(*at(index, channel))
            return tirx.if_then_else(inside, value * value, tirx.const(0, dtype))

        squares = te.compute(padded, square, name="squares")

        def divide(*index: Any) -> Any:
            total = squares(*index)
            for step in range(1, response.window):
                total = total + squares(*at(index, index[axis] + step))
            base = total * tirx.const(response.alpha / response.window, dtype) + tirx.const(response.bias, dtype)
            return data(*index) / _power(base, response.beta, dtype)

        return te.compute(shape, divide, name="local_response")

    return local_response


def _power(base: Any, exponent: float, dtype: str) -> Any:
    if exponent == 0.75:
        root = tirx.sqrt(base)
        return root * tirx.sqrt(root)
    return tirx.sqrt(base) if exponent == 0.5 else tirx.power(base, tirx.const(exponent, dtype))


def _scalar(value: Any) -> float | None:
    array = value.value.numpy() if isinstance(value, GenericConst) else None
    return float(array.item()) if array is not None and array.size == 1 else None
