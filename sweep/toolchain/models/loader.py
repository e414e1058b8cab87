"""What an importer of models is, on the side that reads networks; `sweep.study.importers.importer` has the other side.

A loader reads a model once (`load`) and makes of it, for each shape of its inputs, a network that TVM can lower
(`specialise`). Both run in a compile worker's child: they may import what they like, crash and hang.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from sweep.errors import ImportFailed
from sweep.inspection.network_graph import NetworkGraph
from sweep.toolchain.models.input_values import Values
from sweep.toolchain.weights_file import WeightsFile

__all__ = ["ImportedModel", "ModelLoader", "Quantisation", "Shapes", "TensorType", "with_values"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is asked of one import of a model."""

    inputs: Mapping[str, Sequence[int]]
    """Shapes by input name, which replace the model's own."""
    batch: int | None
    """The leading dimension of every input; None leaves them, and makes one that is open 1."""
    seed: int
    """For the values of the inputs that outputs are compared on, and for weights where a model has none."""
    batch_dims: Mapping[str, Sequence[int]] | None = None
    """Which dimensions the batch is instead, by input; None: the leading one of every input."""
    values: Mapping[str, Values] = field(default_factory=dict)
    """What a person says of inputs' values, by input."""


@dataclass(frozen=True, slots=True)
class Quantisation:
    """What the integers of a tensor stand for: `(q - zero_point) * scale`."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class TensorType:
    """An input or an output."""

    name: str
    shape: Sequence[int | None]
    dtype: str
    """By numpy's name."""
    is_quantised: bool = False
    """Of an output: whether its integers stand for numbers between two steps, so that one step is no error."""
    values: Values | None = None
    """Of an input: what it may hold; None: whatever its type may."""
    quantisation: Quantisation | None = None
    """None: its numbers are what they are, or the file does not tell."""
    step: float | None = None
    """Of a float output that is made of quantised integers: what one step of these is in its own numbers."""
    tolerance: float | None = None
    """Of a float output: what any code may be off, relative to the largest value, where that is more than the precision
    allows: codes inside are rounded either way, or floats of 16 bits are inside."""
    runtime_tolerance: float | None = None
    """Of an output: what other runtimes than TVM may be off, relative to the largest value, where that is more than the
    precision allows: they round where the expected output is not rounded."""


def with_values(inputs: Sequence[TensorType], values: Mapping[str, Values]) -> list[TensorType]:
    """The inputs, with a person's values where there are some. Raises ImportFailed where there is no such input."""
    names = [tensor.name for tensor in inputs]
    for name in values:
        if name not in names:
            raise ImportFailed(f"inputs: no input is called {name!r}; the network's inputs: {', '.join(names)}")
    return [replace(tensor, values=values.get(tensor.name, tensor.values)) for tensor in inputs]


class ImportedModel(ABC):
    """A network whose shapes are all fixed. What has a body here may be left as it is."""

    inputs: Sequence[TensorType]
    """In the order of the parameters of the Relax `main`."""
    outputs: Sequence[TensorType]
    operators: Mapping[str, int]
    """How often each occurs, by the format's own names."""
    params_bytes: int
    weights_origin: str | None = None
    """Where they come from, as `random`; None where the file of the network has them."""
    rewriting: Mapping[str, Any] | None = None
    """How the network of the file became this one and what a comparison of both came to, as JSON has it; None where it
    is imported as it is.
    """
    variant: Mapping[str, Any] | None = None
    """Of a variant, how it was made of another network and what a check of it came to, as JSON has it."""

    def graph(self) -> NetworkGraph | None:
        """The network as a graph, for counts of its work; None: that of its file is read, where it can be."""
        return None

    @abstractmethod
    def relax(self) -> Any:
        """The network as a TVM module whose `main` takes the inputs; its weights are constants in it.

        Raises ImportFailed where TVM cannot express it.
        """

    def write(self, folder: Path, weights: WeightsFile) -> Sequence[str]:
        """Write the network for other runtimes into `folder`, in each of the importer's formats; returns these.

        Each is named by `sweep.files.sweep_dir.network_file`. What goes into `weights` is stored once for all imports
        of a model, so let it be what no shape changes.
        """
        return ()

    @abstractmethod
    def expected_outputs(self, folder: Path, feeds: Mapping[str, Array]) -> Sequence[Array]:
        """The outputs for these inputs, in order, from another implementation than TVM: compiled code must give the
        same. `folder` has what `write` wrote. An error of any kind leaves the network without a reference.
        """


class ModelLoader(Protocol):
    """Reads models of one format. Made without arguments."""

    def load(self, path: Path, options: Mapping[str, Any]) -> Any:
        """What of a model no shape changes. `options`: of the import stage. Raises ImportFailed."""

    def specialise(self, loaded: Any, shapes: Shapes) -> ImportedModel:
        """The network for these shapes; `loaded` may be changed. Raises ImportFailed."""
