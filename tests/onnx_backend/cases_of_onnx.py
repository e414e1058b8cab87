"""The tests of the onnx package: a folder for each, with its network and the recorded data, as the package has them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

__all__ = ["INPUTS", "SETS", "BackendTest", "cases_of"]

SETS = ("node", "simple", "pytorch-converted", "pytorch-operator")
INPUTS = ("shapes", "all", "first")
"""Which inputs stay inputs: all but those that decide shapes, all, the first alone."""

DECIDE_SHAPES: dict[str, tuple[int, ...]] = {
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "DFT": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "NonMaxSuppression": (2,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"), (1,)
    ),
    **dict.fromkeys(("ReduceProd", "ReduceSum", "ReduceSumSquare"), (1,)),
}
"""Operator -> its inputs whose values decide the shape of what it gives."""


@dataclass(frozen=True, slots=True)
class BackendTest:
    """A test, and how it is written out."""

    name: str
    operators: tuple[str, ...]
    has_fixed_shapes: bool
    """Whether inputs and outputs are tensors of declared sizes."""
    rtol: float
    atol: float
    write: Callable[[Path, str], Mapping[str, Sequence[int]]]
    """Writes `model.onnx`, and `input_N.pb` and `output_N.pb` in a folder for each data set, into a folder; returns the
    shapes of the inputs that the network leaves open, as a person would give them. The second argument: one of INPUTS.
    """


def cases_of(kind: str, only: Collection[str] = ()) -> Iterator[BackendTest]:
    """Those of a set, one of SETS. only: modules of node tests, each of an operator, of those wanted: all take 16 s."""
    from onnx.backend.test import loader
    from onnx.backend.test.case import node

    if kind == "node":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in only:
                importlib.import_module(f"{node.__name__}.{name}")  # which adds its tests
            found = [*node._NodeTestCases] if only else node.collect_testcases(None)
        deciding = {test.name: _deciding(test.model) for test in found}
        for test in found:
            plain = test.name.partition("_expanded")[0]  # the same as ONNX's definition of the operator has it
            yield _test(test, test.model, test.data_sets, deciding.get(plain, set()) | deciding[test.name])
        return
    for test in loader.load_model_tests(kind=kind):
        folder = Path(test.model_dir)
        model = onnx.load(folder / "model.onnx")
        sets = [
            tuple(_read(sorted(data.glob(f"{side}_*.pb"), key=_number)) for side in ("input", "output"))
            for data in sorted(folder.glob("test_data_set_*"))
        ]
        yield _test(test, model, sets, _deciding(model))


def _test(test: Any, model: Any, sets: Any, deciding: set[str]) -> BackendTest:
    values = (*model.graph.input, *model.graph.output)
    return BackendTest(
        test.name,
        tuple(dict.fromkeys(node.op_type for node in model.graph.node)),
        all(map(_is_fixed, values)),
        test.rtol,
        test.atol,
        lambda folder, inputs: _write(model, sets, folder, deciding if inputs == "shapes" else inputs == "first"),
    )


def _deciding(model: Any) -> set[str]:
    """Names of the inputs whose values decide shapes."""
    used = {(node.op_type, at): name for node in model.graph.node for at, name in enumerate(node.input)}
    return {name for (operator, at), name in used.items() if at in DECIDE_SHAPES.get(operator, ())}


def _is_fixed(value: Any) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)


def _number(path: Path) -> int:
    return int(path.stem.partition("_")[2])


def _read(paths: list[Path]) -> list[Any]:
    return [TensorProto.FromString(path.read_bytes()) for path in paths]


def _write(given: Any, sets: Any, folder: Path, stored: set[str] | bool) -> dict[str, list[int]]:
    """stored: the inputs that become constants of the network; True: all but the first."""
    model = onnx.ModelProto()
    model.CopyFrom(given)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    wanted = {value.name for value in inputs[1:]} if stored is True else stored or set()
    if len(sets) != 1:
        wanted = set()
    sizes = {}
    for number, (fed, expected) in enumerate(sets):
        data = folder / f"set_{number}"
        data.mkdir(parents=True)
        kept = []
        for value, array in zip(inputs, fed, strict=False):
            tensor = _tensor(array)
            if tensor is None:
                (data / "no_tensors").touch()
            elif value.name in wanted:
                tensor.name = value.name
                model.graph.initializer.append(tensor)
                continue
            else:
                (data / f"input_{len(kept)}.pb").write_bytes(tensor.SerializeToString())
                if not all(dim.dim_value for dim in value.type.tensor_type.shape.dim):
                    sizes[value.name] = list(tensor.dims)
            kept.append(value)
        for place, array in enumerate(expected):
            tensor = _tensor(array)
            if tensor is None:
                (data / "no_tensors").touch()
            else:
                (data / f"output_{place}.pb").write_bytes(tensor.SerializeToString())
    dropped = {tensor.name for tensor in model.graph.initializer} - weights
    rest = [value for value in model.graph.input if value.name not in dropped]
    copies = [type(value).FromString(value.SerializeToString()) for value in rest]
    del model.graph.input[:]
    model.graph.input.extend(copies)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return sizes


def _tensor(value: Any) -> Any:
    """As a proto; None for a sequence or an optional value."""
    if isinstance(value, TensorProto):
        copy = TensorProto()
        copy.CopyFrom(value)
        return copy
    if isinstance(value, list | tuple | dict) or value is None:
        return None
    try:
        return numpy_helper.from_array(value)
    except Exception:  # a sequence as the package's own proto
        return None
