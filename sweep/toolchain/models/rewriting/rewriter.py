"""Walks through an ONNX network once, in order, and writes it anew: constants folded, shapes known, and what a rule
replaces replaced.

What a rule writes goes the same way at once, so that one walk is enough: a shape that is computed is a number where the
reshape that takes it is looked at, and a loop of a known count is its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.evaluation import evaluated
from sweep.toolchain.models.rewriting.known_values import Array, KnownValues
from sweep.toolchain.models.rewriting.onnx_call import Call, call_of
from sweep.toolchain.models.rewriting.typing_of_nodes import OutputTypes
from sweep.toolchain.models.rewriting.values_met import Met

__all__ = ["OLDEST_OPSET", "Rewriter", "Rule", "Upgrade"]

Rule = Callable[["Rewriter", Call], Sequence[str] | None]
"""What takes the place of a call: the values for its outputs in order, or None where the call stays. It writes nodes by
`Rewriter.op`.
"""

Upgrade = Callable[["Rewriter", Call], Call | Sequence[str]]
"""A call of an opset before the oldest that is written, as one of that, or the values that its outputs are."""

OLDEST_OPSET = 13
"""That is written: axes are inputs from there on, and broadcasting is numpy's."""

_OF_LAYERS = ("EmbedLayerNormalization", "LayerNormalization", "SkipLayerNormalization")
_LAYERS_SINCE = 17
"""The opset that has them first; ONNX Runtime takes a layer's normalisation in files of older ones, too."""

MASKING = ("Attention", "Where")
"""Operators that may put infinities, which are constants of the network, in the place of what is masked."""

_ONNX = ("", "ai.onnx")
_MOST_NODES = 60_000
_FOLDED_LIMIT_BYTES = 256_000_000


class Rewriter(KnownValues):
    """A network that is being written anew."""

    def __init__(
        self, model: Any, rules: Mapping[str, Sequence[Rule]], upgrade: Upgrade, met: Met | None = None
    ) -> None:
        """model: its inputs have fixed shapes. rules: by operator. met: values to keep that are NaN or infinite."""
        from onnx import helper

        self._model, self._rules, self._upgrade = model, rules, upgrade
        self.source_opset = max((int(o.version) for o in model.opset_import if o.domain in _ONNX), default=1)
        operators = {node.op_type for node in model.graph.node}
        oldest = OLDEST_OPSET if operators.isdisjoint(_OF_LAYERS) else _LAYERS_SINCE
        self.opset = max(self.source_opset, oldest)
        self._opsets = [helper.make_opsetid("", self.opset)]
        self._opsets += [o for o in model.opset_import if o.domain not in _ONNX]
        self._ir_version = max(int(model.ir_version), 8)
        super().__init__(OutputTypes(self._opsets, self._ir_version), watches=not operators.isdisjoint(MASKING))
        self.not_numbers = set(met.not_numbers if met else ())
        self.infinite = set(met.infinite if met else ())
        self.with_a_number: set[str] = set()
        """Values that are no infinities alone along what is reduced."""
        self._nodes: list[Any] = []
        self._made: set[str] = set()
        self.sequences: dict[str, tuple[str, ...]] = {}
        """Sequences of tensors, which are known by their elements."""
        self._taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
        self._count = 0
        self._outputs = {output.name for output in model.graph.output}
        self._final: dict[str, str] = {}
        self._of_bodies: dict[int, tuple[Any, str]] = {}

    @property
    def source_nodes(self) -> Sequence[Any]:
        """Of the network as it was, in order."""
        nodes: Sequence[Any] = self._model.graph.node
        return nodes

    # -- writing -------------------------------------------------------------------------------------------------------

    def new_name(self, base: str) -> str:
        """One that nothing has."""
        while True:
            self._count += 1
            name = f"{base}__{self._count}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def version(self, domain: str) -> int:
        """Of the operators of a domain, in the network that is written."""
        return max((int(opset.version) for opset in self._opsets if opset.domain == domain), default=1)

    def keep(self, array: Any, dtype: Any = None) -> str:
        """The name of a constant."""
        name = self.new_name("constant")
        self._set_constant(name, np.array(array, dtype=dtype, order="C"))
        return name

    def op(self, operator: str, *inputs: str | Array, **attributes: Any) -> str:
        """The first output of an operator. Arrays among the inputs become constants."""
        return self.ops(operator, 1, *inputs, **attributes)[0]

    def ops(self, operator: str, outputs: int, *inputs: str | Array, **attributes: Any) -> list[str]:
        """The outputs of an operator."""
        names = [value if isinstance(value, str) else self.keep(value) for value in inputs]
        made = [self.new_name(operator.rpartition(".")[2].lower()) for _ in range(outputs)]
        self.apply(Call(operator, names, made, {k: v for k, v in attributes.items() if v is not None}))
        return [self.resolved(name) for name in made]

    def reduced(self, operator: str, value: str, axes: Sequence[int], keepdims: int = 1) -> str:
        """A reduction; axes became an input in opset 18, those of a sum in 13."""
        if self.opset >= (13 if operator == "ReduceSum" else 18):
            return self.op(operator, value, np.array(axes, np.int64), keepdims=keepdims)
        return self.op(operator, value, axes=list(axes), keepdims=keepdims)

    def along(self, value: str, axis: int, matrix: Array) -> str:
        """The product with a matrix along one axis."""
        rank = self.rank(value) or 1
        if axis == rank - 1:
            return self.op("MatMul", value, matrix)
        order = [other for other in range(rank) if other != axis] + [axis]
        product = self.op("MatMul", self.op("Transpose", value, perm=order), matrix)
        return self.op("Transpose", product, perm=[int(at) for at in np.argsort(order)])

    def inline(
        self,
        nodes: Iterable[Any],
        names: Mapping[str, str],
        attributes: Mapping[str, Any] | None = None,
        initializers: Iterable[Any] = (),
    ) -> dict[str, str]:
        """Write the nodes of a body with names of its own; returns the names that its values have outside.

        names: of what it is given. attributes: of the function of ONNX that it is the body of; None for a subgraph of
        the file.
        """
        opset = self.source_opset if attributes is None else 0
        known = dict(names)
        known.update((tensor.name, self._kept_of_body(tensor)) for tensor in initializers)
        for node in nodes:
            for output in node.output:
                if output:
                    known[output] = self.new_name(output)
            self.apply(call_of(node, known, attributes, opset))
        return {old: self.resolved(new) for old, new in known.items()}

    def _kept_of_body(self, tensor: Any) -> str:
        """The name of an initialiser of a body, which all steps of a loop share."""
        if id(tensor) not in self._of_bodies:
            copy = type(tensor)()
            copy.CopyFrom(tensor)
            copy.name = self.new_name(tensor.name)
            self._of_bodies[id(tensor)] = (tensor, copy.name)  # which keeps the object, and so its number
            self._set_constant(copy.name, copy)
        return self._of_bodies[id(tensor)][1]

    def apply(self, call: Call) -> None:
        """Write a call, or what takes its place."""
        call = replace(call, inputs=[self.resolved(name) for name in call.inputs])
        if 0 < call.opset < OLDEST_OPSET and "." not in call.operator:
            upgraded = self._upgrade(self, call)
            if not isinstance(upgraded, Call):
                self._take(call, upgraded)
                return
            call = replace(upgraded, opset=0)
        for rule in self._rules.get(call.operator, ()):
            made = rule(self, call)
            if made is not None:
                self._take(call, made)
                return
        if not self._folds(call):
            self._emit(call)

    def _take(self, call: Call, made: Sequence[str]) -> None:
        for name, value in zip(call.outputs, made, strict=False):
            if name and value and name != value:
                self._alias[name] = self.resolved(value)
                if name in self.not_numbers:
                    self.not_numbers.add(self.resolved(value))
                if value in self.sequences:
                    self.sequences[name] = self.sequences[value]

    def _folds(self, call: Call) -> bool:
        arrays = {name: self.constant(name) for name in call.inputs if name}
        if any(array is None for array in arrays.values()):
            return False
        node = self._node(call)
        types = self._inferred(node)
        if sum(map(self._infer.count, types.values())) > _FOLDED_LIMIT_BYTES:  # at a byte a value: before it is made
            return False
        results = evaluated(node, arrays, self._opsets, types)
        if results is None or sum(array.nbytes for array in results.values()) > _FOLDED_LIMIT_BYTES:
            return False
        for name, array in results.items():
            self._set_constant(name, array)
        return True

    def _emit(self, call: Call) -> None:
        if len(self._nodes) >= _MOST_NODES:
            raise ImportFailed(f"the network has more than {_MOST_NODES:,} nodes once its loops are unrolled")
        node = self._node(call)
        self._nodes.append(node)
        self._made.update(node.output)
        self._types.update(self._inferred(node))

    def _node(self, call: Call) -> Any:
        from onnx import helper

        domain, _, operator = call.operator.rpartition(".")
        return helper.make_node(
            operator, call.inputs, call.outputs, call.name or None, domain=domain, **call.attributes
        )

    # -- the whole -----------------------------------------------------------------------------------------------------

    def rewritten(self) -> Any:
        """The network written anew. Raises ImportFailed."""
        graph = self._model.graph
        for tensor in graph.initializer:
            self._set_constant(tensor.name, tensor)
        weights = set(self._constants)
        inputs = [value for value in graph.input if value.name not in weights]
        self._taken.update(weights, (value.name for value in inputs))
        for value in inputs:
            self._types[value.name] = value.type
        for node in graph.node:
            self.apply(call_of(node, {}, opset=self.source_opset))
        for output in graph.output:
            self._give_out(output.name)
        return self._assembled(inputs)

    def _give_out(self, name: str) -> None:
        if name in self.sequences:
            raise ImportFailed(f"output {name} is a sequence; a compiled network gives tensors")
        source = self.resolved(name)
        if source == name:
            return
        del self._alias[name]
        if (constant := self._constants.get(source)) is not None:
            self._set_constant(name, self.constant(source) if not isinstance(constant, np.ndarray) else constant)
        elif source in self._made and source not in self._outputs and source not in self._final:
            self._final[source] = name
            if source in self._types:
                self._types[name] = self._types[source]
        else:
            self._emit(Call("Identity", [self._final.get(source, source)], [name]))

    def _assembled(self, inputs: Sequence[Any]) -> Any:
        from onnx import helper, numpy_helper

        wanted = {output.name for output in self._model.graph.output}
        nodes = []
        for node in reversed(self._nodes):
            for names in (node.input, node.output):
                names[:] = [self._final.get(name, name) for name in names]
            if wanted.intersection(node.output):
                wanted.update(filter(None, node.input))
                nodes.append(node)
        weights = []
        for name, stored in self._constants.items():
            if name in wanted:
                weights.append(numpy_helper.from_array(stored, name) if isinstance(stored, np.ndarray) else stored)
        outputs = []
        for output in self._model.graph.output:
            known = self._types.get(output.name)
            outputs.append(helper.make_value_info(output.name, known if known is not None else output.type))
        graph = helper.make_graph(nodes[::-1], self._model.graph.name or "network", inputs, outputs, weights)
        return helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir_version)
