"""Places boxes in layers from top to bottom, so that lines lead downwards, rarely cross and run straight.

The steps are those of Sugiyama, Tagawa and Toda (1981): a layer for each box by its longest way from an input, points
on the layers that a line passes, the order in a layer by the middle of its neighbours, then places that pull neighbours
under each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sweep.inspection.drawing.boxes import Box

__all__ = ["Layout", "PlacedBox", "laid_out"]

_CHARACTER, _PADDING, _LEAST_WIDTH = 6.7, 20.0, 90.0
BOX_HEIGHT, _LAYER_HEIGHT, _GAP, _MARGIN = 38.0, 66.0, 22.0, 24.0
_POINT_WIDTH = 10.0
_SWEEPS, _PULLS = 6, 12
_TO_THE_MIDDLE = 0.9
"""How much of its way from the middle a box keeps at a pull: else rows with lines on one side drift away."""
_LONGEST_TITLE = 64


@dataclass(frozen=True, slots=True)
class PlacedBox:
    """A box in its place."""

    box: Box
    x: float
    """Of its middle."""
    y: float
    """Of its top."""
    width: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture, in pixels."""

    width: float
    height: float
    boxes: tuple[PlacedBox, ...]
    lines: tuple[tuple[tuple[float, float], ...], ...]
    """Each from a box's lower edge by way of points to the upper edge of the next."""


def width_of(box: Box) -> float:
    """What its longer text needs."""
    longest = max(min(len(box.title), _LONGEST_TITLE), len(box.detail))
    return max(_LEAST_WIDTH, longest * _CHARACTER + _PADDING)


def laid_out(boxes: Sequence[Box]) -> Layout:
    """boxes: in an order in which each comes after those that it takes values from."""
    layers = _layers(boxes)
    widths = [width_of(box) for box in boxes]
    edges: list[tuple[int, int]] = []
    ways = [_way(source, target, layers, widths, edges) for target, box in enumerate(boxes) for source in box.before]
    rows: list[list[int]] = [[] for _ in range(max(layers, default=0) + 1)]
    for item, layer in enumerate(layers):
        rows[layer].append(item)
    above, below = _neighbours(len(layers), edges)
    _order(rows, above, below)
    xs = _places(rows, widths, above, below)
    placed = tuple(
        PlacedBox(box, xs[number], _MARGIN + layers[number] * _LAYER_HEIGHT, widths[number])
        for number, box in enumerate(boxes)
    )
    width = max((each.x + each.width / 2 for each in placed), default=0.0) + _MARGIN
    height = 2 * _MARGIN + BOX_HEIGHT + max(layers, default=0) * _LAYER_HEIGHT
    return Layout(width, height, placed, tuple(_line(way, xs, layers, len(boxes)) for way in ways))


def _layers(boxes: Sequence[Box]) -> list[int]:
    """The longest way from an input; inputs stand right above what takes them."""
    layers = [0] * len(boxes)
    for number, box in enumerate(boxes):
        layers[number] = 1 + max((layers[source] for source in box.before), default=-1)
    for number in range(len(boxes) - 1, -1, -1):
        if not boxes[number].before:
            takers = [layers[other] for other, box in enumerate(boxes) if number in box.before]
            layers[number] = max(min(takers, default=1) - 1, 0)
    return layers


def _way(source: int, target: int, layers: list[int], widths: list[float], edges: list[tuple[int, int]]) -> list[int]:
    """The items of a line: its ends, and a new point on each layer between."""
    way = [source]
    for layer in range(layers[source] + 1, layers[target]):
        layers.append(layer)
        widths.append(_POINT_WIDTH)
        way.append(len(layers) - 1)
    way.append(target)
    edges.extend(pairwise(way))
    return way


def _neighbours(count: int, edges: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        above[target].append(source)
        below[source].append(target)
    return above, below


def _order(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Sorts each row by the middle of its neighbours' places, downwards and upwards in turn."""
    place = {item: float(at) for row in rows for at, item in enumerate(row)}
    for turn in range(_SWEEPS):
        sides = above if turn % 2 == 0 else below
        for row in rows if turn % 2 == 0 else rows[::-1]:
            middles = {
                item: sum(place[other] for other in sides[item]) / len(sides[item]) if sides[item] else place[item]
                for item in row
            }
            row.sort(key=lambda item: middles[item])
            place.update((item, float(at)) for at, item in enumerate(row))


def _places(
    rows: list[list[int]], widths: Sequence[float], above: list[list[int]], below: list[list[int]]
) -> list[float]:
    """Middles of all items: each is pulled under its neighbours, as far as those beside it leave room."""
    xs = [0.0] * len(widths)
    for row in rows:
        _spread(row, xs, widths, [0.0] * len(row))
    for turn in range(_PULLS):
        for row in rows if turn % 2 == 0 else rows[::-1]:
            sides = [(above if turn % 2 == 0 else below)[item] or above[item] + below[item] for item in row]
            wanted = [
                _TO_THE_MIDDLE * sum(xs[other] for other in side) / len(side) if side else xs[item]
                for item, side in zip(row, sides, strict=True)
            ]
            _spread(row, xs, widths, wanted)
    left = min((x - width / 2 for x, width in zip(xs, widths, strict=True)), default=0.0)
    return [x - left + _MARGIN for x in xs]


def _spread(row: Sequence[int], xs: list[float], widths: Sequence[float], wanted: Sequence[float]) -> None:
    """Gives the items of a row places in their order that are near to what is wanted and do not overlap."""
    groups: list[tuple[list[int], float, float]] = []  # items, left edge, width
    for item, middle in zip(row, wanted, strict=True):
        groups.append(([item], middle - widths[item] / 2, widths[item]))
        while len(groups) > 1 and groups[-2][1] + groups[-2][2] + _GAP > groups[-1][1]:
            right, left = groups.pop(), groups.pop()
            width = left[2] + _GAP + right[2]
            count = len(left[0]) + len(right[0])
            middles = (left[1] + left[2] / 2) * len(left[0]) + (right[1] + right[2] / 2) * len(right[0])
            groups.append((left[0] + right[0], middles / count - width / 2, width))
    for items, left_edge, _ in groups:
        at = left_edge
        for item in items:
            xs[item] = at + widths[item] / 2
            at += widths[item] + _GAP


def _line(
    way: Sequence[int], xs: Sequence[float], layers: Sequence[int], count: int
) -> tuple[tuple[float, float], ...]:
    points = []
    for item in way:
        top = _MARGIN + layers[item] * _LAYER_HEIGHT
        if item >= count:
            points += [(xs[item], top), (xs[item], top + BOX_HEIGHT)]
        else:
            points.append((xs[item], top + BOX_HEIGHT if item == way[0] else top))
    return tuple(points)
