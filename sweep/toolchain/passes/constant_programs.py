"""Evaluates tensor programs of constants, all of a module at a time.

TVM's FoldConstant compiles a module for each call, and a compilation costs a tenth of a second before it has done
anything: four seconds of the twelve of a tuned SqueezeNet's build went into the packing of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import operator_of

__all__ = ["FoldConstantPrograms"]

_HOST = {"kind": "llvm", "opt-level": 1}
"""Programs of constants run here, not on the device, and once, so that optimising them costs more than it brings."""
_WORTH_IT = 2
"""Calls below which TVM's own pass is as fast."""


@module_pass(opt_level=0, name="FoldConstantPrograms")
class FoldConstantPrograms:
    """The pass: calls of tensor programs whose operands are constants, or results of such calls; in dataflow blocks."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with their results in their place."""
        functions = dict(module.functions_items())
        for name, function in functions.items():
            if isinstance(function, relax.Function):
                found = _Found(function, functions)
                constants = found.evaluated() if len(found.calls) >= _WORTH_IT else None
                if constants:
                    module[name] = _Folder(module, constants).visit_expr(function)
        return module


class _Found:
    """What is constant in a function."""

    def __init__(self, function: Any, functions: Mapping[Any, Any]) -> None:
        self._functions = functions
        self.calls: dict[Any, Any] = {}
        """Variables with the calls that they are bound to, in order."""
        self._parts: dict[Any, tuple[Any, int]] = {}
        """Variables that are one of several results of a call."""
        blocks = function.body.blocks if isinstance(function.body, relax.SeqExpr) else ()
        for block in blocks:
            for binding in block.bindings if isinstance(block, relax.DataflowBlock) else ():
                if isinstance(binding, relax.VarBinding) and isinstance(binding.var, relax.DataflowVar):
                    self._look_at(binding.var, binding.value)

    def evaluated(self) -> dict[Any, Any] | None:
        """What each variable is: a constant, or a tuple of them.

        None where TVM refuses one of the programs: its own pass, which follows, sees to the others.
        """
        try:
            return self._evaluated()
        except (MemoryError, OSError):
            raise  # says nothing of the network
        except Exception:  # noqa: BLE001  (TVM raises what it likes)
            return None

    def _evaluated(self) -> dict[Any, Any]:
        used = {call.args[0]: self._functions[call.args[0]] for call in self.calls.values()}
        programs = {name: body.with_attr("global_symbol", name.name_hint) for name, body in used.items()}
        target = tvm.target.Target(_HOST)
        with target, tvm.transform.PassContext(opt_level=3):
            compiled = tvm.compile(tvm.IRModule(programs), target)
        results: dict[Any, list[Any]] = {}
        for variable, call in self.calls.items():
            operands = [self._value(one, results) for one in call.args[1].fields]
            results[variable] = [
                tvm.runtime.empty([int(n) for n in one.shape], str(one.dtype)) for one in _types(variable)
            ]
            compiled[call.args[0].name_hint](*operands, *results[variable])
        constants = {variable: [relax.const(one, str(one.dtype)) for one in each] for variable, each in results.items()}
        whole = {
            variable: relax.Tuple(each) if isinstance(variable.ty, relax.TupleType) else each[0]
            for variable, each in constants.items()
        }
        return whole | {part: constants[of][index] for part, (of, index) in self._parts.items()}

    def _look_at(self, variable: Any, value: Any) -> None:
        if isinstance(value, relax.TupleGetItem) and value.tuple_value in self.calls:
            self._parts[variable] = (value.tuple_value, int(value.index))
        elif operator_of(value) == "relax.call_tir" and self._is_constant(variable, value):
            self.calls[variable] = value

    def _is_constant(self, variable: Any, call: Any) -> bool:
        return (
            len(call.args) == 2  # and no symbolic sizes
            and isinstance(self._functions.get(call.args[0]), tirx.PrimFunc)
            and len(call.args[1].fields) > 0
            and all(self._is_known(one) for one in call.args[1].fields)
            and all(_is_static(one) for one in _types(variable))
        )

    def _is_known(self, operand: Any) -> bool:
        if operand in self.calls:
            return not isinstance(operand.ty, relax.TupleType)
        return isinstance(operand, GenericConst) or operand in self._parts

    def _value(self, operand: Any, results: Mapping[Any, list[Any]]) -> Any:
        if isinstance(operand, GenericConst):
            return operand.value
        of, index = self._parts.get(operand, (operand, 0))
        return results[of][index]


def _types(variable: Any) -> list[Any]:
    return list(variable.ty.fields) if isinstance(variable.ty, relax.TupleType) else [variable.ty]


def _is_static(kind: Any) -> bool:
    return (
        isinstance(kind, relax.TensorType)
        and isinstance(kind.shape, relax.ShapeExpr)
        and all(isinstance(size, tirx.IntImm) for size in kind.shape)
    )


@mutator
class _Folder(PyExprMutator):
    def __init__(self, module: Any, constants: Mapping[Any, Any]) -> None:
        super().__init__(module)
        self._constants = constants

    def visit_dataflow_var_(self, op: Any) -> Any:
        return self._constants[op] if op in self._constants else super().visit_dataflow_var_(op)

    def visit_var_binding_(self, binding: Any) -> None:
        if binding.var not in self._constants:
            super().visit_var_binding_(binding)
