"""Large constants of a module as parameters of its `main`, and back: so that their values can be stored apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import IRModule, relax, runtime
from tvm.relax.expr_functor import PyExprMutator, mutator

__all__ = ["bind_last_parameters", "lift_constants"]

_MAIN = "main"

Key = Any
"""What tells one constant from another, or None for one that stays."""


def lift_constants(module: Any, key_of: Callable[[npt.NDArray[Any]], Key]) -> tuple[Any, list[Key]]:
    """The module whose `main` has a further parameter for each key of its constants, and the keys in that order."""
    main = module[_MAIN]
    lifter = _Lifter(key_of)
    body = lifter.visit_expr(main.body)
    if not lifter.parameters:
        return module, []
    lifted = relax.Function([*main.params, *lifter.parameters.values()], body, main.ret_ty, main.is_pure, main.attrs)
    functions = {name: lifted if name.name_hint == _MAIN else function for name, function in module.functions_items()}
    return IRModule(functions, attrs=module.attrs, global_infos=module.global_infos), list(lifter.parameters)


def bind_last_parameters(module: Any, values: Sequence[npt.NDArray[Any]]) -> Any:
    """The module whose `main` has these constants in the place of its last parameters."""
    if not values:
        return module
    parameters = module[_MAIN].params[-len(values) :]
    constants = {
        parameter: runtime.tensor(np.ascontiguousarray(value))
        for parameter, value in zip(parameters, values, strict=True)
    }
    return relax.transform.BindParams(_MAIN, constants)(module)


@mutator
class _Lifter(PyExprMutator):
    def __init__(self, key_of: Callable[[npt.NDArray[Any]], Key]) -> None:
        super().__init__()
        self._key_of = key_of
        self.parameters: dict[Key, Any] = {}

    def visit_generic_const_(self, op: Any) -> Any:
        if not isinstance(op.value, runtime.Tensor):
            return op
        key = self._key_of(op.value.numpy())
        if key is None:
            return op
        if key not in self.parameters:
            self.parameters[key] = relax.Var(f"constant:{len(self.parameters)}", op.ty)
        return self.parameters[key]
