"""The steps of optimisers (ai.onnx.preview.training), which are arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]

_DOMAIN = "ai.onnx.preview.training."


@dataclass(frozen=True, slots=True)
class _Step:
    """What a step of one tensor needs."""

    network: Rewriter
    call: Call
    tensors: Sequence[str]
    """The tensor, its gradient, what is accumulated."""

    def number(self, value: float) -> np.ndarray:
        """As the tensor's type has it."""
        return np.array(value, self.network.dtype(self.tensors[0]))

    def given(self, attribute: str, default: float) -> np.ndarray:
        """An attribute, so."""
        return self.number(self.call.get(attribute, default))

    def gradient(self) -> str:
        """With that of the norm."""
        weighted = self.op("Mul", self.given("norm_coefficient", 0.0), self.tensors[0])
        return self.op("Add", weighted, self.tensors[1])

    def op(self, operator: str, *inputs: str | np.ndarray) -> str:
        """An operator's output."""
        return self.network.op(operator, *inputs)

    def mixed(self, old: str, new: str, share: np.ndarray) -> str:
        """A share of the old value, the rest of the new one."""
        rest = self.number(1) - share
        return self.op("Add", self.op("Mul", share, old), self.op("Mul", rest, new))

    def at_first(self) -> str:
        """Whether no update was done before."""
        kind = self.network.dtype(self.call.input(1))
        return self.op("LessOrEqual", self.call.input(1), np.zeros((), kind))

    def updates(self) -> str:
        """How many were."""
        return self.network.op("Cast", self.call.input(1), to=self.network.element(self.tensors[0]))


def _adagrad(step: _Step) -> list[str]:
    decay = step.op("Mul", step.updates(), step.given("decay_factor", 0.0))
    rate = step.op("Div", step.call.input(0), step.op("Add", decay, step.number(1)))
    gradient = step.gradient()
    squares = step.op("Add", step.tensors[2], step.op("Mul", gradient, gradient))
    root = step.op("Add", step.op("Sqrt", squares), step.given("epsilon", 1e-6))
    change = step.op("Div", step.op("Mul", rate, gradient), root)
    return [step.op("Sub", step.tensors[0], change), squares]


def _momentum(step: _Step) -> list[str]:
    gradient, alpha = step.gradient(), step.given("alpha", 0.0)
    beta = step.op("Where", step.at_first(), step.number(1), step.given("beta", 0.0))
    moved = step.op("Add", step.op("Mul", alpha, step.tensors[2]), step.op("Mul", beta, gradient))
    change = moved
    if step.call.get("mode", "standard") != "standard":
        change = step.op("Add", gradient, step.op("Mul", alpha, moved))
    return [step.op("Sub", step.tensors[0], step.op("Mul", step.call.input(0), change)), moved]


def _adam(step: _Step) -> list[str]:
    gradient, alpha, beta = step.gradient(), step.given("alpha", 0.9), step.given("beta", 0.999)
    first = step.mixed(step.tensors[2], gradient, alpha)
    second = step.mixed(step.tensors[3], step.op("Mul", gradient, gradient), beta)
    root = step.op("Add", step.op("Sqrt", second), step.given("epsilon", 1e-6))
    one, count = step.number(1), step.updates()
    numerator = step.op("Sqrt", step.op("Sub", one, step.op("Pow", beta, count)))
    corrected = step.op("Div", numerator, step.op("Sub", one, step.op("Pow", alpha, count)))
    factor = step.op("Where", step.at_first(), one, corrected)
    change = step.op("Mul", step.op("Mul", step.call.input(0), factor), step.op("Div", first, root))
    moved = step.op("Sub", step.tensors[0], change)
    return [step.op("Mul", one - step.given("norm_coefficient_post", 0.0), moved), first, second]


def _of_many(kept: int, step: Callable[[_Step], list[str]]) -> Rule:
    """Rate and count come first, then all tensors, all gradients, and what is kept of each."""

    def rule(network: Rewriter, call: Call) -> Sequence[str] | None:
        groups = 2 + kept
        count = (len(call.inputs) - 2) // groups
        results = []
        for at in range(count):
            tensors = [call.input(2 + group * count + at) for group in range(groups)]
            results.append(step(_Step(network, call, tensors)))
        return [one for outputs in zip(*results, strict=True) for one in outputs]

    return rule


RULES: dict[str, Rule] = {
    _DOMAIN + "Adagrad": _of_many(1, _adagrad),
    _DOMAIN + "Momentum": _of_many(1, _momentum),
    _DOMAIN + "Adam": _of_many(2, _adam),
}
