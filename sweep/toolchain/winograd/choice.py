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
from sweep.toolchain.winograd.form import FORMS, WinogradForm, allowed_error
from sweep.toolchain.winograd.program import MADE, convolution_in, program_of
from sweep.toolchain.workload_id import workload_id

__all__ = ["WithForms", "with_chosen_forms"]

Rank = Callable[[str], float | None]
"""Of a workload, by its id: the lower the faster; None where nothing is known of it."""


@dataclass(frozen=True, slots=True)
class _Faster:
    """A program that was found faster than the one of the convolution as it is."""

    workload: str
    """Id of that one."""
    rank: float
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


def with_chosen_forms(module: Any, level: int, rank: Rank) -> WithForms:
    """Choose. level: the opt level that a lowered module is of."""
    allowed = allowed_error(level)
    if allowed is None:
        return WithForms(module)
    faster: dict[Any, list[_Faster]] = {}
    for name, function in module.functions_items():
        found = _faster(function, rank) if isinstance(function, tirx.PrimFunc) else []
        if found:
            faster[name] = found
    changed, workloads = module, set()
    for name, function in module.functions_items() if faster else ():
        if isinstance(function, relax.Function):
            chooser = _Chooser(changed, faster, allowed)
            written = chooser.visit_expr(function)
            if chooser.made:
                chooser.builder_.update_func(name, written)
                changed = chooser.builder_.get()
                workloads |= {faster[of][0].workload for of, _ in chooser.made}
    if not workloads:
        return WithForms(module)
    return WithForms(relax.transform.DeadCodeElimination()(changed), frozenset(workloads))


def _faster(function: Any, rank: Rank) -> list[_Faster]:
    """The fastest first."""
    convolution = convolution_in(function)
    if convolution is None:
        return []
    alone = IRModule({"main": function.with_attr("global_symbol", "main")})
    workload = workload_id(alone)
    as_it_is = rank(workload)
    found = []
    for form in FORMS:
        if convolution.gains_by(form):
            made = program_of(alone, convolution, form)
            its = rank(workload_id(made))
            if its is not None and (as_it_is is None or its < as_it_is):
                found.append(
                    _Faster(workload, its, form, convolution.weights, made["main"].without_attr("global_symbol"))
                )
    return sorted(found, key=lambda one: one.rank)


@mutator
class _Chooser(PyExprMutator):
    def __init__(self, module: Any, faster: Mapping[Any, list[_Faster]], allowed: float) -> None:
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

    def _name(self, of: Any, one: _Faster) -> Any:
        key = (of, one.form.name)
        if key not in self.made:
            self.made[key] = self.builder_.add_func(one.function, f"{of.name_hint}_{MADE}")
        return self.made[key]
