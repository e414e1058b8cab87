"""What a network is calibrated on: samples of a data set, or made-up inputs where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.datasets.preprocessing import NetworkInput
from sweep.datasets.reading import Wanted, read_samples
from sweep.errors import CalibrateFailed, StudyError, in_one_line
from sweep.toolchain.models.input_values import read_values
from sweep.toolchain.models.loader import TensorType, with_values
from sweep.toolchain.models.onnx_types import input_types

__all__ = ["RANDOM", "DatasetSamples", "RandomSamples", "Repeated", "samples_for"]

RANDOM = "random"
_APART = 104_729
"""From the seeds of the inputs that outputs are compared on: a network is not judged on what it was calibrated on."""

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What fills the last batch of a network whose batch is fixed."""

    batch: Mapping[str, _Array]
    """The last sample alone, again and again."""
    share: float
    """Of this batch, what the last one has too much of it."""


class RandomSamples:
    """Seeded inputs within what a person says of them. The same each time that they are iterated."""

    source = RANDOM
    repeated: Repeated | None = None

    def __init__(
        self, network: Any, options: Mapping[str, Any], files: Mapping[str, str], *, is_calibration: bool = True
    ) -> None:
        """network: an ONNX network. options: of the calibration. files: with arrays of inputs, by input.
        is_calibration: else they are others, for a network that was calibrated on these.
        """
        values = read_values(options.get("values") or {}, {name: str(Path(file)) for name, file in files.items()})
        self._inputs: list[TensorType] = with_values(input_types(network), values)
        self._seed = int(options.get("seed") or 0)
        self._use = _APART if is_calibration else _APART + 1
        self.batch = max(1, int((self._inputs[0].shape or (1,))[0] or 1))
        self._batches = -(-int(options["samples"]) // self.batch)
        self.samples = self._batches * self.batch
        """As many as are asked for, and what fills the last batch: others, which count like them."""

    def __iter__(self) -> Iterator[dict[str, _Array]]:
        """Batches of the network's own size, at least so many samples in all."""
        from sweep.toolchain.models.expected_output import make_inputs

        for number in range(self._batches):
            seed = int(np.random.SeedSequence([self._use, self._seed, number]).generate_state(1)[0])
            yield make_inputs(self._inputs, seed)


class DatasetSamples:
    """Samples of a data set, in batches of the network's own size."""

    def __init__(
        self, network: Any, options: Mapping[str, Any], hints: Mapping[str, Any], *, is_calibration: bool = True
    ) -> None:
        """As `RandomSamples`. Raises CalibrateFailed where the data set does not go with the network."""
        inputs = input_types(network)
        if len(inputs) != 1:
            names = ", ".join(tensor.name for tensor in inputs)
            raise CalibrateFailed(f"a data set feeds one input, and the network has {len(inputs)}: {names}")
        (self._input,) = inputs
        self.source = str(hints.get("dataset") or "a data set")
        shape = [int(size or 1) for size in self._input.shape]
        self.batch = shape[0] if shape else 1
        """Samples that the network takes at once."""
        wanted = Wanted(
            "train" if is_calibration else "test",
            int(options["samples"]),
            int(options.get("seed") or 0),
            options.get("calibrate_classes") or () if is_calibration else (),
        )
        try:
            network_input = NetworkInput(shape, self._input.dtype)
            self._samples = read_samples(options["dataset"], hints.get("dataset_files") or {}, wanted, network_input)
        except StudyError as error:
            raise CalibrateFailed(f"{self.source}: {in_one_line(error)}") from error
        self.samples = len(self._samples)

    @property
    def repeated(self) -> Repeated | None:
        """None where the last batch is full."""
        lacking = -self.samples % self.batch
        if not lacking:
            return None
        return Repeated({self._input.name: self._samples.inputs[-1:].repeat(self.batch, 0)}, lacking / self.batch)

    def __iter__(self) -> Iterator[dict[str, _Array]]:
        """Batches; the last one repeats its last sample until it is full."""
        for batch, _ in self._samples.batches(self.batch, pads=True):
            yield {self._input.name: batch}


def samples_for(
    network: Any, options: Mapping[str, Any], hints: Mapping[str, Any], *, is_calibration: bool = True
) -> RandomSamples | DatasetSamples:
    """What a network is calibrated on, or else compared on."""
    if "dataset" in options:
        return DatasetSamples(network, options, hints, is_calibration=is_calibration)
    return RandomSamples(network, options, hints.get("input_files") or {}, is_calibration=is_calibration)
