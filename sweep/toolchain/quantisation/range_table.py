"""The table of a calibration: what every tensor of a network was seen to hold, in files that people and programs read.

`ranges.json` has least and greatest values of activations, and of weights by channel too; `histograms.npz` a histogram
of each activation; `network.onnx` the network whose tensors they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import CalibrateFailed, in_one_line
from sweep.files.npz import load_arrays, save_arrays
from sweep.study.calibration_table import HISTOGRAMS, RANGES, VERSION
from sweep.toolchain.quantisation.calibration_samples import Repeated
from sweep.toolchain.quantisation.prepared_network import session_of
from sweep.toolchain.quantisation.thresholds import BINS, TARGET_BINS, Observed

__all__ = [
    "NETWORK",
    "RangeTable",
    "float_tensors",
    "observe",
    "read_table",
    "weight_ranges",
    "with_outputs",
    "write_table",
]

NETWORK = "network.onnx"

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class RangeTable:
    """What a calibration has seen."""

    activations: Mapping[str, Observed]
    weights: Mapping[str, Mapping[str, Any]]
    samples: int
    source: str
    """What the samples are: the name of a data set, or `random`."""
    unbounded: Sequence[str] = ()
    """Tensors that have no range: without an element, or infinite somewhere as what masks and pads is."""


def observe(
    model: Any,
    batches: Iterable[Mapping[str, _Array]],
    samples: int,
    source: str,
    repeated: Repeated | None = None,
) -> RangeTable:
    """Run a prepared network over batches, twice: for the ranges, then for histograms within them.

    batches: gives the same each time that it is iterated. repeated: what the last one is filled with, which histograms
    shall not count again; whichever axis of a tensor the samples lie on, a batch of nothing else tells what that is.
    Raises CalibrateFailed: also where an input or what is made of it is no number, or an input is infinite.
    """
    names = float_tensors(model)
    session = session_of(with_outputs(model, names))
    inputs = [name for name in names if name in {value.name for value in model.graph.input}]
    made = [name for name in names if name not in inputs]
    limits: dict[str, tuple[float, float]] = {}
    infinite: set[str] = set()
    for values in _runs(session, batches, inputs, made):
        for name, array in values.items():
            low, high = float(array.min()), float(array.max())
            if np.isnan(low) or (np.isinf([low, high]).any() and name in inputs):
                raise CalibrateFailed(f"the tensor {name} is not finite on a sample of {source}: it has no range")
            if np.isinf([low, high]).any():
                infinite.add(name)
            known = limits.get(name, (low, high))
            limits[name] = min(low, known[0]), max(high, known[1])
    limits = {name: ends for name, ends in limits.items() if name not in infinite}
    made = [name for name in made if name in limits]
    if not limits:
        raise CalibrateFailed(f"{source} has no sample to calibrate on")
    histograms = {name: np.zeros(2 * BINS, np.int64) for name in limits}
    for values in _runs(session, batches, inputs, made):
        for name, array in values.items():
            histograms[name] += _counted(array, max(map(abs, limits[name])))
    if repeated is not None:
        for values in _runs(session, [repeated.batch], inputs, made):
            for name, array in values.items():
                again = np.rint(_counted(array, max(map(abs, limits[name]))) * repeated.share).astype(np.int64)
                histograms[name] = np.maximum(histograms[name] - again, 0)
    activations = {name: Observed(*limits[name], histograms[name]) for name in limits}
    unbounded = [name for name in names if name not in limits]
    return RangeTable(activations, weight_ranges(model), samples, source, unbounded)


def float_tensors(model: Any) -> list[str]:
    """Inputs and results that hold float32 numbers, in the order in which they are made."""
    from onnx import TensorProto

    stored = {tensor.name for tensor in model.graph.initializer}
    types = {
        value.name: value.type.tensor_type.elem_type
        for values in (model.graph.input, model.graph.value_info, model.graph.output)
        for value in values
    }
    inputs = [value.name for value in model.graph.input if value.name not in stored]
    made = [name for node in model.graph.node for name in node.output if name]
    return [name for name in (*inputs, *made) if types.get(name) == TensorProto.FLOAT]


def with_outputs(model: Any, names: Iterable[str]) -> bytes:
    """The network with these among its outputs."""
    from onnx import TensorProto, helper

    copy = type(model)()
    copy.CopyFrom(model)
    known = {value.name for values in (copy.graph.output, copy.graph.input) for value in values}
    added = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in known]
    copy.graph.output.extend(added)
    return bytes(copy.SerializeToString())


def _runs(
    session: Any, batches: Iterable[Mapping[str, _Array]], inputs: list[str], made: list[str]
) -> Iterable[Mapping[str, _Array]]:
    """What the tensors hold in each batch; an empty one holds nothing."""
    for batch in batches:
        try:
            found = dict(zip(made, session.run(made, dict(batch)), strict=True))
        except Exception as error:
            raise CalibrateFailed(f"ONNX Runtime cannot run a batch: {in_one_line(error)}") from error
        values = {name: batch[name] for name in inputs} | found
        yield {name: array for name, array in values.items() if array.size}


def _counted(array: _Array, greatest: float) -> npt.NDArray[np.int64]:
    """A histogram from -greatest to greatest."""
    if not greatest:
        counts = np.zeros(2 * BINS, np.int64)
        counts[BINS] = array.size
        return counts
    place = array.ravel().astype(np.float64) * (BINS / greatest) + BINS
    bins = np.clip(place.astype(np.int64), 0, 2 * BINS - 1)
    return np.bincount(bins, minlength=2 * BINS).astype(np.int64)


def weight_ranges(model: Any) -> dict[str, dict[str, Any]]:
    """Ranges of the constants, by their first axis too."""
    from onnx import TensorProto, numpy_helper

    found = {}
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or not tensor.dims or 0 in tensor.dims:
            continue
        array = numpy_helper.to_array(tensor)
        rows = array.reshape(array.shape[0], -1)
        entry = {"shape": list(array.shape), "min": float(array.min()), "max": float(array.max())}
        if array.ndim > 1:
            entry["channel_min"] = [float(value) for value in rows.min(axis=1)]
            entry["channel_max"] = [float(value) for value in rows.max(axis=1)]
        found[tensor.name] = entry
    return found


def write_table(table: RangeTable, model: Any, folder: Path, network: Mapping[str, str] | None = None) -> None:
    """Write the files of a table. network: what it is called, and the hash of its files."""
    about = {
        "version": VERSION,
        **({"network": dict(network)} if network else {}),
        "samples": table.samples,
        "source": table.source,
        "bins": BINS,
        "target_bins": TARGET_BINS,
        "activations": {name: {"min": seen.low, "max": seen.high} for name, seen in table.activations.items()},
        **({"unbounded": list(table.unbounded)} if table.unbounded else {}),
        "weights": table.weights,
    }
    (folder / RANGES).write_text(json.dumps(about, indent=1), encoding="utf-8")
    stacked = np.stack([seen.histogram for seen in table.activations.values()])
    save_arrays(folder / HISTOGRAMS, {"histograms": stacked})
    (folder / NETWORK).write_bytes(model.SerializeToString())


def read_table(folder: Path, ranges: str = RANGES) -> RangeTable:
    """The table of a folder. One without histograms has counted nothing."""
    about = json.loads((folder / ranges).read_text(encoding="utf-8"))
    entries = about["activations"]
    if (folder / HISTOGRAMS).is_file():
        histograms = load_arrays(folder / HISTOGRAMS)["histograms"].astype(np.int64)
    else:
        histograms = np.zeros((len(entries), 2 * BINS), np.int64)
    activations = {
        name: Observed(float(entry["min"]), float(entry["max"]), histograms[index])
        for index, (name, entry) in enumerate(entries.items())
    }
    samples, source = int(about.get("samples", 0)), str(about.get("source", ""))
    return RangeTable(activations, about.get("weights", {}), samples, source, about.get("unbounded", ()))
