"""Which kernels of a build compute which layers of its network, and which layers share one.

A layer with weights is where its weights are: kernels take them as constants. What has none is known by the layers with
weights that it rests on: an addition of two branches rests on those of both, in the network as in the build. Where
several kernels rest on the same, its operator is in the name of its own. What is not found so has no kernel.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from sweep.files.sweep_dir import network_file
from sweep.toolchain.passes.call import constant_of
from sweep.toolchain.quantisation.layer_distances import Layer, layers_of
from sweep.toolchain.quantisation.prepared_network import QUANTISED_OPERATORS, named, prepared
from sweep.toolchain.quantisation.qdq_network import HEAVY
from sweep.toolchain.rooflines.layer_work import bound_calls
from sweep.toolchain.rooflines.weight_prints import WeightPrint
from sweep.toolchain.winograd.program import MADE
from sweep.toolchain.winograd.winograd_form import FORMS

__all__ = ["KernelCall", "NetworkLayers", "kernel_calls", "network_layers", "placed_layers"]

_LEAST_WEIGHTS = 2
_MOST_COMBINED = 6
"""Convolutions of one input that are looked for as one kernel."""

_IN_NAMES = {
    "Add": ("add",),
    "Sub": ("subtract",),
    "Mul": ("multiply",),
    "Concat": ("concat",),
    "AveragePool": ("pool", "mean"),
    "GlobalAveragePool": ("pool", "mean", "sum"),
    **dict.fromkeys(HEAVY, ("conv", "matmul", "dense", "dot")),
}
"""What of an operator is in the names of kernels that compute it."""
_ELEMENTWISE = re.compile(
    r"(fused_?)?((cast|multiply|add|subtract|divide|(tir_)?round|maximum|minimum|relu|clip)\d*_?)+"
)
"""Names of kernels of such operators alone."""
_FUSED = ("Add", "Sub", "Mul")
"""Operators that are computed behind a layer with weights, in its kernel."""

Rests = frozenset[str]
"""Names of the layers with weights that something rests on, itself among them."""


@dataclass(frozen=True, slots=True)
class NetworkLayers:
    """The layers of a network in its order, and what tells them apart."""

    layers: Sequence[Layer]
    weights: Mapping[str, Sequence[WeightPrint]]
    """Of a layer with weights, each form in which a build may have them."""
    source: Mapping[str, str]
    """The tensor that a layer with weights reads."""
    rests: Mapping[str, Rests]
    """Of each layer."""


@dataclass(slots=True)
class KernelCall:
    """A call of a kernel, in the order of the build."""

    kernel: str
    needs: Sequence[int]
    """Numbers of the calls whose results it takes."""
    weights: Sequence[WeightPrint]
    holds: set[str] = field(default_factory=set)
    """Layers whose weights it takes."""


def network_layers(folder: Path) -> NetworkLayers:
    """Of a folder of an import or a quantised network. Raises CalibrateFailed where it is not prepared any more."""
    import onnx

    path = folder / network_file("onnx")
    written = onnx.load(str(path))
    if any(node.op_type in QUANTISED_OPERATORS for node in written.graph.node):
        model, other = written, None
    else:
        model, other = prepared(path), written
    layers = layers_of(model)
    prints = dict(_weights(model))
    for name, more in _before_folding(model, other).items():
        prints[name] = [*prints[name], more]
    sources = {node.name: str(node.input[0]) for node in model.graph.node if node.name in prints}
    return NetworkLayers(layers, prints, sources, _rests(model, layers, prints))


def kernel_calls(module: Any) -> list[KernelCall]:
    """Of the entry function of a module that is ready to be built."""
    made: dict[Any, tuple[int, ...]] = {}
    calls: list[KernelCall] = []
    for variable, kernel, value in bound_calls(module):
        needs = dict.fromkeys(number for one in _variables(value) for number in made.get(one, ()))
        if kernel:
            arrays = [array for one in _leaves(value) if (array := constant_of(one)) is not None and array.ndim > 1]
            prints = [_print_of(kernel, array) for array in arrays if array.size >= _LEAST_WEIGHTS]
            calls.append(KernelCall(kernel, tuple(needs), prints))
            made[variable] = (len(calls) - 1,)
        else:
            made[variable] = tuple(needs)
    return calls


def _print_of(kernel: str, array: Any) -> WeightPrint:
    """Of weights as they were before they were transformed for one of Winograd's forms."""
    form = next((one for one in FORMS if array.shape[:2] == (one.size, one.size)), None)
    if MADE not in kernel or form is None:
        return WeightPrint.of(array)
    return WeightPrint.of(form.restored(array), is_rounded=True)


def placed_layers(network: NetworkLayers, calls: Sequence[KernelCall]) -> list[dict[str, Any]]:
    """For each layer, in the order of the network: its name, its `kernels`, one a call, and the layers that it shares
    them with; none where it was not found.
    """
    _hold(network, calls)
    found = {name for call in calls for name in call.holds}
    by_rests: dict[Rests, list[int]] = defaultdict(list)
    rests: list[Rests] = []
    for number, call in enumerate(calls):
        rests.append(frozenset(call.holds).union(*(rests[need] for need in call.needs)))
        by_rests[rests[-1]].append(number)
    holder = {name: number for number, call in enumerate(calls) for name in call.holds}
    places: dict[str, tuple[int, ...]] = {}
    for layer in network.layers:
        if layer.name in holder:
            places[layer.name] = (holder[layer.name],)
        elif layer.name not in network.weights:
            there = by_rests.get(network.rests[layer.name] & found, [])
            places[layer.name] = _of_no_weights(layer.operator, [(number, calls[number]) for number in there])
    _add_what_follows(places, calls, rests)
    users: dict[int, list[str]] = defaultdict(list)
    for name, numbers in places.items():
        for number in numbers:
            users[number].append(name)
    return [
        {
            "layer": layer.name,
            "operator": layer.operator,
            "kernels": [calls[number].kernel for number in places.get(layer.name, ())],
            "shares_with": _others(layer.name, [users[number] for number in places.get(layer.name, ())]),
        }
        for layer in network.layers
    ]


def _add_what_follows(places: dict[str, tuple[int, ...]], calls: Sequence[KernelCall], rests: Sequence[Rests]) -> None:
    """Kernels behind a layer that do nothing but scale, round and rectify are its own: where levels fuse, there are
    none.
    """
    claimed = {number for numbers in places.values() for number in numbers}
    owners: dict[Rests, list[str]] = defaultdict(list)
    for name, numbers in places.items():
        if numbers:
            owners[rests[numbers[0]]].append(name)
    for number, call in enumerate(calls):
        if number not in claimed and rests[number] and _ELEMENTWISE.fullmatch(call.kernel):
            for name in owners.get(rests[number], ()):
                places[name] = (*places[name], number)


def _of_no_weights(operator: str, there: Sequence[tuple[int, KernelCall]]) -> tuple[int, ...]:
    """there: the kernels that rest on the same."""
    parts = _IN_NAMES.get(operator, ())
    alone = tuple(number for number, call in there if not call.holds and any(part in call.kernel for part in parts))
    return alone or (tuple(number for number, call in there if call.holds) if operator in _FUSED else ())


def _others(name: str, users: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(other for group in users for other in group if other != name))


# -- the network ------------------------------------------------------------------------------------------------------


def _weights(model: Any) -> Iterator[tuple[str, list[WeightPrint]]]:
    """Of each layer with constant weights: as numbers, or as codes, codes less their zero point, and numbers."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type not in HEAVY:
            continue
        name = next((name for name in node.input[:2][::-1] if name in stored or _is_stored(made.get(name), stored)), "")
        if name in stored:
            yield str(node.name), [WeightPrint.of(numpy_helper.to_array(stored[name]))]
        elif name:
            yield str(node.name), _of_codes(made[name], stored)


def _is_stored(node: Any, stored: Mapping[str, Any]) -> bool:
    return node is not None and all(name in stored for name in node.input if name)


def _of_codes(node: Any, stored: Mapping[str, Any]) -> list[WeightPrint]:
    from onnx import numpy_helper

    codes, scale, *zero = (numpy_helper.to_array(stored[name]) for name in node.input if name)
    axis = next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 1) % max(1, codes.ndim)
    shape = [-1 if place == axis else 1 for place in range(codes.ndim)]
    centred = codes.astype(np.int32)
    if zero:
        centred = centred - zero[0].astype(np.int32).reshape(shape if zero[0].size > 1 else ())
    numbers = centred * scale.reshape(shape if scale.size > 1 else ())
    return [WeightPrint.of(array) for array in (codes, centred, numbers.astype(np.float32))]


def _before_folding(model: Any, other: Any) -> Mapping[str, WeightPrint]:
    """Weights as the file has them, by the layers of the prepared network: a level that folds nothing keeps them."""
    if other is None:
        return {}
    folded, written = dict(_weights(model)), list(_weights(named(other)))
    if len(folded) != len(written):
        return {}
    pairs = zip(folded.items(), written, strict=True)
    return {name: own for (name, (first, *_)), (_, (own, *_)) in pairs if first.count == own.count}


def _rests(model: Any, layers: Sequence[Layer], weights: Mapping[str, Any]) -> dict[str, Rests]:
    of_tensor: dict[str, Rests] = {}
    of_node: dict[str, Rests] = {}
    for node in model.graph.node:
        own = frozenset({str(node.name)} if node.name in weights else ())
        rests = own.union(*(of_tensor.get(name, frozenset()) for name in node.input))
        of_node[str(node.name)] = rests
        of_tensor.update(dict.fromkeys(node.output, rests))
    return {layer.name: of_node[layer.name] for layer in layers}


# -- the build --------------------------------------------------------------------------------------------------------


def _leaves(value: Any) -> Iterator[Any]:
    for one in getattr(value, "args", ()):
        yield from getattr(one, "fields", None) or (one,)


def _variables(value: Any) -> Iterator[Any]:
    """The variables that a bound value reads."""
    from tvm import relax

    yield from relax.analysis.free_vars(value)


def _hold(network: NetworkLayers, calls: Sequence[KernelCall]) -> None:
    """Note with each call the layers whose weights it takes; of equal weights the first takes the first."""
    open_layers = list(network.weights)
    unknown: list[tuple[KernelCall, WeightPrint]] = []
    for call in calls:
        for weights in call.weights:
            far = {name: _nearest(network.weights[name], weights) for name in open_layers}
            if near := {name: each for name, each in far.items() if each is not None}:
                name = min(near, key=near.__getitem__)
                call.holds.add(name)
                open_layers.remove(name)
            else:
                unknown.append((call, weights))
    siblings: dict[str, list[str]] = defaultdict(list)
    for name in open_layers:
        siblings[network.source[name]].append(name)
    for call, weights in unknown:
        for group in siblings.values():
            if (names := _combined(network, group, weights)) is not None:
                call.holds.update(names)
                siblings = {key: [one for one in each if one not in names] for key, each in siblings.items()}
                break


def _nearest(forms: Sequence[WeightPrint], weights: WeightPrint) -> float | None:
    near = [far for form in forms if (far := form.distance(weights)) is not None]
    return min(near, default=None)


def _combined(network: NetworkLayers, group: Sequence[str], weights: WeightPrint) -> Sequence[str] | None:
    """Layers of one input whose weights are these together."""
    for size in range(2, min(len(group), _MOST_COMBINED) + 1):
        for names in combinations(group[:_MOST_COMBINED], size):
            forms = zip(*(network.weights[name] for name in names), strict=False)
            if any(WeightPrint.of_all(form).distance(weights) is not None for form in forms):
                return names
    return None
