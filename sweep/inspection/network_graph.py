"""A network as a graph, whatever the format of its file. It holds no array: constants are read when needed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Constant", "NetworkGraph", "Node", "Tensor", "Work", "bits_of", "frequencies"]

_BITS = {"bool": 8, "bfloat16": 16, "int4": 4, "uint4": 4, "complex64": 64, "complex128": 128}
"""Of number types whose names do not end with their bits."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that flows through the network."""

    name: str
    shape: tuple[int | str, ...] | None
    """A text where a dimension is open: the name that stands for it, or `?`. None: not even the rank is known."""
    dtype: str | None
    """By numpy's name; None where it is not known."""

    @property
    def elements(self) -> int | None:
        """How many numbers it has; None where a dimension is open."""
        if self.shape is None or not all(isinstance(size, int) for size in self.shape):
            return None
        return math.prod(size for size in self.shape if isinstance(size, int))

    @property
    def size_bytes(self) -> int | None:
        """None where a dimension is open, or its number type has no fixed size."""
        elements = self.elements
        bits = bits_of(self.dtype or "")
        return None if elements is None or bits is None else math.ceil(elements * bits / 8)


def bits_of(dtype: str) -> int | None:
    """How many bits a number of a type has, by its name; None of texts and other objects."""
    digits = dtype.lstrip("abcdefghijklmnopqrstuvwxyz_")
    return _BITS.get(dtype, int(digits) if digits.isdigit() else 8 if dtype.startswith("float8") else None)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the file holds."""

    tensor: Tensor
    read: Callable[[], NDArray[Any]]
    """Its numbers in its shape; of one that is stored as sparse those that are stored."""
    zero: Callable[[], NDArray[Any]] | None = None
    """What stands for zero in a quantised one, in a shape that broadcasts against it; None: 0."""


@dataclass(frozen=True, slots=True)
class Work:
    """Multiply-accumulates of a node."""

    macs: int
    weights: Mapping[str, int] = field(default_factory=dict)
    """Constant -> how many of the multiply-accumulates each of its numbers takes part in. A padded position counts as
    any other: that is the convention of published figures.
    """


@dataclass(frozen=True, slots=True)
class Node:
    """An operator in its place."""

    name: str
    operator: str
    """By the format's own name, with the domain in front where it has one: `com.microsoft.QGemm`."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """As JSON has them."""
    work: Work | None = None
    """None where it multiplies no matrices."""
    parameters: tuple[str, ...] = ()
    """Constants among its inputs that the network learned."""
    is_view: bool = False
    """Whether its output is its input's memory, in another shape at most."""


@dataclass(frozen=True, slots=True)
class NetworkGraph:
    """A network."""

    format: str
    """Name of the importer of its format."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    """In an order in which they can be run."""
    tensors: Mapping[str, Tensor]
    """All that flows, by name, as far as the file or inference tells it."""
    constants: Mapping[str, Constant]
    operators: Mapping[str, int]
    """How often each occurs, those of subgraphs too, the most frequent first."""
    producer: str = ""
    opsets: Mapping[str, int] = field(default_factory=dict)
    """Versions of the sets of operators, by domain."""
    seen_by_importer: tuple[str, ...] = ()
    """Operators in the form in which the importer gets them, where that is another than the file's."""
    notes: tuple[str, ...] = ()
    """What is not counted and why, a sentence each."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The constants that the network learned, each once."""
        return tuple(dict.fromkeys(name for node in self.nodes for name in node.parameters))


def frequencies(operators: list[str]) -> dict[str, int]:
    """How often each occurs, the most frequent first, then by name."""
    return dict(sorted(Counter(operators).items(), key=lambda entry: (-entry[1], entry[0])))
