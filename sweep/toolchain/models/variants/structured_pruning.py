"""Takes whole filters out of an ONNX network, with all that goes with them.

All groups of channels lose about the same share of theirs, the least important first, until the wanted share of the
network's parameters is gone. What a smaller level takes, a larger one takes too, but for units that are too large.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.onnx_shapes import copied, infer_shapes
from sweep.toolchain.models.variants.channel_analysis import ChannelAnalysis, Fix, analysed
from sweep.toolchain.models.variants.channel_rules import RULES
from sweep.toolchain.models.variants.channel_units import STAYS, Labels

__all__ = ["LEAST_FILTERS", "Pruned", "masked", "pruned"]

LEAST_FILTERS = 2
"""That every layer keeps."""
_NEAR, _LEFT_OUT = 0.005, 24
"""Of the parameters, and how many units may be left out: those of grouped and shuffled layers may be a tenth each."""
_SHORT = 0.02
"""Of the parameters: a level is refused where less by more than this can go."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A network without some of its filters."""

    model: Any
    analysis: ChannelAnalysis
    """Of the network that it was made of."""
    gone: frozenset[int]
    """Units of channels."""
    parameters_before: int
    parameters: int
    filters_before: int
    filters: int
    """Of all layers whose filters could go."""

    @property
    def share(self) -> float:
        """Of the parameters that is gone."""
        return 1 - self.parameters / self.parameters_before if self.parameters_before else 0.0


def pruned(model: Any, level: float, method: str, seed: int) -> Pruned:
    """The network without about this share of its parameters.

    model: settled (`settled_onnx`). method: l1, those filters whose weights are the smallest; or random. Raises
    ImportFailed where so many cannot go.
    """
    found = analysed(model, RULES)
    counter = _Counter(found)
    order = _order(found, method, seed)
    most = counter.share(order)
    if most < level - _SHORT:
        raise ImportFailed(
            f"prune: at level {level:g} {level:.0%} of the parameters are to go, and {most:.1%} can: "
            f"{LEAST_FILTERS} filters a layer stay, and what outputs, or operators that take channels together, need"
        )
    gone = frozenset(_nearest(counter, order, level))
    before, after = counter.parameters(frozenset()), counter.parameters(gone)
    filters = [int((found.units.roots(labels) != STAYS).sum()) for _, _, labels in found.producers]
    lost = [int(np.isin(found.units.roots(labels), list(gone)).sum()) for _, _, labels in found.producers]
    return Pruned(_without(found, gone), found, gone, before, after, sum(filters), sum(filters) - sum(lost))


def _nearest(counter: _Counter, order: Sequence[int], level: float) -> Sequence[int]:
    """Of the units, in their order, as many as come near the level; one that goes far beyond it is left out."""
    left, best, apart = list(order), list[int](), level
    for _ in range(_LEFT_OUT):
        low, high = 0, len(left)
        while low < high:  # the least that reaches the level
            middle = (low + high) // 2
            low, high = (low, middle) if counter.share(left[:middle]) >= level else (middle + 1, high)
        for count in (low, max(0, low - 1)):
            if (off := abs(counter.share(left[:count]) - level)) < apart:
                best, apart = left[:count], off
        if apart <= _NEAR or not low:
            break
        del left[low - 1]
    return best


def _order(found: ChannelAnalysis, method: str, seed: int) -> list[int]:
    """All units that may go, in the order in which they do."""
    scores: dict[int, float] = defaultdict(float)
    makers: dict[int, list[int]] = defaultdict(list)
    for number, (name, axis, labels) in enumerate(found.producers):
        weight = np.abs(found.stored[name].astype(np.float64))
        norms = weight.mean(axis=tuple(other for other in range(weight.ndim) if other != axis))
        for root, norm in zip(found.units.roots(labels).tolist(), norms.tolist(), strict=True):
            scores[root] += norm
            if not makers[root] or makers[root][-1] != number:
                makers[root].append(number)
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for root in makers:
        if root != STAYS:
            groups[tuple(makers[root])].append(root)
    generator, keyed = np.random.default_rng(seed), []
    for number, roots in enumerate(groups.values()):
        if method == "random":
            ranked = [roots[index] for index in generator.permutation(len(roots))]
        else:
            ranked = sorted(roots, key=lambda root: (scores[root], root))
        keyed += [((rank + 0.5) / len(ranked), number, root) for rank, root in enumerate(ranked)]
    return _without_last(found, [root for _, _, root in sorted(keyed)])


def _without_last(found: ChannelAnalysis, order: Sequence[int]) -> list[int]:
    """Those of the units, in their order, that leave each layer its filters, and each value and weight a channel."""
    vectors: dict[bytes, tuple[Labels, int]] = {}
    several = [(labels, 1) for one in found.slices for labels in one.axes.values()]
    several += [(labels, 1) for _, labels in found.channels.values()]
    for labels, least in [*several, *((labels, LEAST_FILTERS) for _, _, labels in found.producers)]:
        roots = found.units.roots(labels)
        _, before = vectors.get(roots.tobytes(), (roots, 0))
        vectors[roots.tobytes()] = roots, max(before, least)
    members: dict[int, list[tuple[int, int]]] = defaultdict(list)
    left = [roots.size for roots, _ in vectors.values()]
    least_left = [least for _, least in vectors.values()]
    for number, (roots, _) in enumerate(vectors.values()):
        counts = Counter(roots.tolist())
        for root, count in counts.items():
            members[root].append((number, count))
    taken = []
    for root in order:
        if all(left[number] - count >= least_left[number] for number, count in members[root]):
            taken.append(root)
            for number, count in members[root]:
                left[number] -= count
    return taken


class _Counter:
    """Counts the parameters that are left when units go."""

    def __init__(self, found: ChannelAnalysis) -> None:
        floats = {name: array for name, array in found.stored.items() if array.dtype.kind == "f"}
        self._sliced: dict[str, dict[int, Labels]] = {}
        for one in found.slices:
            if one.name in floats:
                self._sliced[one.name] = {axis: found.units.roots(labels) for axis, labels in one.axes.items()}
        self._shapes = {name: floats[name].shape for name in self._sliced}
        self._fixed = sum(array.size for name, array in floats.items() if name not in self._sliced)
        self._all = self.parameters(())

    def parameters(self, gone: Iterable[int]) -> int:
        """That are left."""
        lost, total = np.array(sorted(gone), dtype=np.int64), self._fixed
        for name, axes in self._sliced.items():
            sizes = list(self._shapes[name])
            for axis, roots in axes.items():
                sizes[axis] -= int(np.isin(roots, lost).sum())
            total += math.prod(sizes)
        return total

    def share(self, gone: Iterable[int]) -> float:
        """Of the parameters that goes with them."""
        return 1 - self.parameters(gone) / self._all if self._all else 0.0


def masked(made: Pruned) -> Any:
    """The network that was pruned, whole, with the filters that went set to zero, and what takes their channels."""
    from onnx import numpy_helper

    model = copied(made.analysis.model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    arrays: dict[str, Any] = {}
    for one in made.analysis.slices:
        if not one.is_weight:
            continue
        array = arrays.setdefault(one.name, np.array(made.analysis.stored[one.name]))
        for axis, labels in one.axes.items():
            is_gone = np.isin(made.analysis.units.roots(labels), list(made.gone))
            array[(slice(None),) * axis + (is_gone,)] = 0
    for name, array in arrays.items():
        tensors[name].CopyFrom(numpy_helper.from_array(array, name))
    return model


def _without(found: ChannelAnalysis, gone: frozenset[int]) -> Any:
    from onnx import checker, numpy_helper

    def kept(labels: Labels) -> Any:
        return ~np.isin(found.units.roots(labels), list(gone))

    model = copied(found.model)
    arrays: dict[str, Any] = {}
    for one in {one.name: one for one in found.slices}.values():
        array = found.stored[one.name]
        for axis, labels in one.axes.items():
            array = np.compress(kept(labels), array, axis=axis)
        arrays[one.name] = array
    for tensor in model.graph.initializer:
        if tensor.name in arrays:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(arrays[tensor.name]), tensor.name))
    for fix in found.fixes:
        _apply(model, found, fix, kept(fix.labels))
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    model = infer_shapes(model, "what is left after pruning does not fit together")
    checker.check_model(model)
    return model


def _apply(model: Any, found: ChannelAnalysis, fix: Fix, kept: Any) -> None:
    """Tell a node of the channels that are left."""
    node, count = model.graph.node[fix.node], int(kept.sum())
    if fix.what == "group":
        next(each for each in node.attribute if each.name == "group").i = count
    elif fix.what in ("shape", "sizes"):
        place = 1 if fix.what == "shape" else 3
        sizes = _told(model, found, node, place)
        if sizes[fix.at] > 0:
            sizes[fix.at] = count
            _tell(model, fix, place, sizes)
    elif fix.what == "bounds":
        starts, ends = _told(model, found, node, 1), _told(model, found, node, 2)
        start, end, _ = slice(int(starts[fix.at]), int(ends[fix.at])).indices(kept.size)
        starts[fix.at], ends[fix.at] = int(kept[:start].sum()), int(kept[: max(start, end)].sum())
        _tell(model, fix, 1, starts)
        _tell(model, fix, 2, ends)
    elif fix.what == "parts":
        sizes = [found.shapes[name][fix.at] for name in node.output]
        parts = np.split(kept, np.cumsum(sizes)[:-1])
        if len(node.input) < 2:
            node.input.append("")
        for each in [each for each in node.attribute if each.name == "num_outputs"]:
            node.attribute.remove(each)
        _tell(model, fix, 1, np.array([part.sum() for part in parts], dtype=np.int64))
    else:
        indices = _told(model, found, node, 1)
        _tell(model, fix, 1, (np.cumsum(kept) - 1)[indices[kept[indices]]])


def _told(model: Any, found: ChannelAnalysis, node: Any, place: int) -> Any:
    """What a node is told now, which a fix before may have changed."""
    from onnx import numpy_helper

    name = node.input[place]
    if name in found.stored:
        return np.array(found.stored[name])
    return np.array(numpy_helper.to_array(next(each for each in model.graph.initializer if each.name == name)))


def _tell(model: Any, fix: Fix, place: int, values: Any) -> None:
    """Give a node a tensor of its own: another may be told the same and keep its channels."""
    from onnx import numpy_helper

    name = f"pruned__{fix.node}_{place}"
    for each in [each for each in model.graph.initializer if each.name == name]:
        model.graph.initializer.remove(each)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    model.graph.node[fix.node].input[place] = name
