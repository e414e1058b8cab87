"""Chooses, when a network is built, which of its convolutions are computed by which of Winograd's forms.

A form is taken where tuning found it faster than the convolution as it is, and where it is exact enough for the opt
level with the very weights of the layer: layers that share a program may have different forms. Its weights are
transformed here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tvm import IRModule, relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, constant_of, operator_of
from sweep.toolchain.winograd.program import MADE, convolution_in, program_of
from sweep.toolchain.winograd.winograd_form import FORMS, WinogradForm, allowed_error
from sweep.toolchain.workload_id import workload_id

__all__ = ["FormChoice", "WithForms"]

Rank = Callable[[str], float | None]
"""Of a workload, by its id: the lower the faster; None where nothing is known of it."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of a convolution."""

    of: str
    """Id of the workload that the convolution as it is is."""
    workload: str
    form: WinogradForm
    weights: int
    """Number of the parameter that holds them."""
    function: Any


@dataclass(frozen=True, slots=True)
class WithForms:
    """A lowered module with forms where they are chosen."""

    module: Any
    workloads: frozenset[str] = frozenset()
    """Ids of the convolutions, as they were, that have one."""


class FormChoice:
    """The forms that the convolutions of a lowered module can have."""

    def __init__(self, module: Any, level: int) -> None:
        """level: the opt level that the module is of."""
        self._module = module
        self._allowed = allowed_error(level)
        self._forms: dict[Any, list[_Form]] = {}
        for name, function in module.functions_items() if self._allowed is not None else ():
            if isinstance(function, tirx.PrimFunc):
                self._forms[name] = _forms_of(function)

    def chosen(self, rank: Rank) -> WithForms:
        """The module with the fastest that are exact enough, where they are faster than the convolution as it is."""
        changed = self._module
        workloads: set[str] = set()
        faster = {name: found for name, forms in self._forms.items() if (found := _faster(forms, rank))}
        for name, function in self._module.functions_items() if faster else ():
            if isinstance(function, relax.Function):
                chooser = _Chooser(changed, faster, self._allowed or 0.0)
                written = chooser.visit_expr(function)
                if chooser.made:
                    chooser.builder_.update_func(name, written)
                    changed = chooser.builder_.get()
                    workloads |= {faster[of][0].of for of, _ in chooser.made}
        if not workloads:
            return WithForms(self._module)
        return WithForms(relax.transform.DeadCodeElimination()(changed), frozenset(workloads))


def _forms_of(function: Any) -> list[_Form]:
    convolution = convolution_in(function)
    if convolution is None:
        return []
    alone = IRModule({"main": function.with_attr("global_symbol", "main")})
    workload, found = workload_id(alone), []
    for form in FORMS:
        if convolution.gains_by(form):
            made = program_of(alone, convolution, form)
            program = made["main"].without_attr("global_symbol")
            found.append(_Form(workload, workload_id(made), form, convolution.weights, program))
    return found


def _faster(forms: list[_Form], rank: Rank) -> list[_Form]:
    """Those that are faster than the convolution as it is, the fastest first."""
    ranked = [(its, one) for one in forms if (its := rank(one.workload)) is not None]
    as_it_is = rank(forms[0].of) if forms else None
    return [one for its, one in sorted(ranked, key=lambda pair: pair[0]) if as_it_is is None or its < as_it_is]


@mutator
class _Chooser(PyExprMutator):
    def __init__(self, module: Any, faster: Mapping[Any, list[_Form]], allowed: float) -> None:
        super().__init__(module)
        self._faster, self._allowed = faster, allowed
        self.made: dict[tuple[Any, str], Any] = {}
        """Names of programs, by that of the convolution's and the form."""

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if operator_of(call) != "relax.call_tir" or call.args[0] not in self._faster:
            return call
        arguments = list(call.args[1].fields)
        for one in self._faster[call.args[0]]:
            weights = constant_of(arguments[one.weights])
            if weights is not None and one.form.error(weights) <= self._allowed:
                arguments[one.weights] = as_constant(one.form.transformed(weights))
                name = self._name(call.args[0], one)
                return relax.Call(call.op, [name, relax.Tuple(arguments), *call.args[2:]], call.attrs, call.ty_args)
        return call

    def _name(self, of: Any, one: _Form) -> Any:
        key = (of, one.form.name)
        if key not in self.made:
            self.made[key] = self.builder_.add_func(one.function, f"{of.name_hint}_{MADE}")
        return self.made[key]
