"""Follows the channels of an ONNX network from the filter that makes them to all that takes them.

What is found: which slices of which weights belong to a unit of channels, and which nodes have to be told of their
number. An operator that is not known here keeps all channels that reach it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.models.variants.channel_units import STAYS, Labels, Units

__all__ = ["ChannelAnalysis", "Channels", "Fix", "Slices", "analysed"]

Array = npt.NDArray[Any]
Channels = tuple[int, Labels]
"""An axis of a tensor, and for each index on it the unit that it belongs to."""


@dataclass(frozen=True, slots=True)
class Slices:
    """How a node takes a stored tensor: labels by axis."""

    name: str
    axes: Mapping[int, Labels]
    is_weight: bool
    """Whether zeros in it are the same as channels that are gone; not so of a divisor."""


@dataclass(frozen=True, slots=True)
class Fix:
    """What has to be told a node once channels are gone."""

    node: int
    what: str
    """group, of a convolution; shape, of a reshape; sizes, of a resize; bounds, of a slice; parts, of a split; indices.
    """
    labels: Labels
    at: int = 0
    """The axis, or its place in what the node is told."""


@dataclass(slots=True)
class ChannelAnalysis:
    """What is known of a network while its nodes are gone through in order, and in the end."""

    model: Any
    """Of fixed shapes."""
    units: Units = field(default_factory=Units)
    slices: list[Slices] = field(default_factory=list)
    producers: list[tuple[str, int, Labels]] = field(default_factory=list)
    """Weight, axis of its filters, their labels."""
    fixes: list[Fix] = field(default_factory=list)
    stored: dict[str, Array] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    channels: dict[str, Channels] = field(default_factory=dict)
    opset: int = 1

    def of(self, name: str) -> Channels | None:
        """The channels of a value, where any may go."""
        return self.channels.get(name)

    def on(self, name: str, axis: int) -> Labels:
        """Labels on an axis of a value; channels on another axis stay."""
        known = self.channels.get(name)
        if known is not None and known[0] == axis:
            return known[1]
        self.keep(name)
        return np.full(self.shapes[name][axis], STAYS, dtype=np.int64)

    def keep(self, *names: str) -> None:
        """Let all channels of values stay."""
        for name in names:
            if (known := self.channels.get(name)) is not None:
                self.units.keep(known[1])

    def give(self, name: str, axis: int, labels: Labels) -> None:
        """Say what channels a value has."""
        if labels.any() and self.shapes.get(name) is not None:
            self.channels[name] = axis, labels

    def take(self, name: str, axes: Mapping[int, Labels], *, is_weight: bool = True) -> None:
        """Note that a stored tensor has slices for these channels."""
        self.slices.append(Slices(name, axes, is_weight))


Rule = Callable[[ChannelAnalysis, int, Any], bool]
"""Goes through a node, given its number; False where it cannot say what becomes of the channels."""


def analysed(model: Any, rules: Mapping[str, Rule]) -> ChannelAnalysis:
    """The channels of a network whose shapes are all inferred, and whose constants are initialisers."""
    from onnx import numpy_helper

    found = ChannelAnalysis(model)
    found.opset = max((int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")), default=1)
    found.stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found.shapes = {name: array.shape for name, array in found.stored.items()}
    for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found.shapes[value.name] = tuple(dim.dim_value for dim in dims)
    used = {name for node in model.graph.node for name in node.input} | {one.name for one in model.graph.output}
    for number, node in enumerate(model.graph.node):
        rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        names = [*node.input, *_captured(node.attribute)]
        told = [*(name for name in node.input if name), *(name for name in node.output if name in used)]
        is_known = all(name in found.shapes for name in told)
        if rule is None or not is_known or not rule(found, number, node):
            found.keep(*names)
            _keep_stored(found, names)
    found.keep(*(output.name for output in model.graph.output))
    _settle_shared(found)
    return found


def _captured(attributes: Sequence[Any]) -> list[str]:
    """Names that subgraphs may take from outside: all that they mention."""
    graphs = [each.g for each in attributes if each.HasField("g")]
    names = [name for graph in graphs for node in graph.node for name in node.input]
    inner = [name for graph in graphs for node in graph.node for name in _captured(node.attribute)]
    return [*names, *inner, *(output.name for graph in graphs for output in graph.output)]


def _keep_stored(found: ChannelAnalysis, names: Sequence[str]) -> None:
    """What else takes a stored tensor takes all of it."""
    for one in found.slices:
        if one.name in names:
            for labels in one.axes.values():
                found.units.keep(labels)


def _settle_shared(found: ChannelAnalysis) -> None:
    """A stored tensor that several nodes take loses the same in each, or nothing where one of them takes it whole."""
    nodes = found.model.graph.node
    uses = Counter(name for node in nodes for name in [*node.input, *_captured(node.attribute)])
    by_name: dict[str, list[Slices]] = {}
    for one in found.slices:
        by_name.setdefault(one.name, []).append(one)
    for name, several in by_name.items():
        axes = {axis for one in several for axis in one.axes}
        if uses[name] != len(several) or any(set(one.axes) != axes for one in several):
            _keep_stored(found, [name])
            continue
        for one in several[1:]:
            for axis, labels in one.axes.items():
                found.units.unite(several[0].axes[axis], labels)
