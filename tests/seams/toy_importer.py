"""Importers that this project does not ship: perceptrons of two layers, and ONNX as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.study.importers.importer import FileImporter
from sweep.toolchain.models.loader import ImportedModel, Shapes, TensorType
from sweep.toolchain.models.onnx_loader import LoadedOnnx, OnnxLoader

PERCEPTRON = FileImporter(
    name="perceptron",
    title="a perceptron",
    suffixes=(".mlp",),
    loader="tests.seams.toy_importer:PerceptronLoader",
)
TEXT = FileImporter(
    name="onnx-text",
    title="an ONNX model in text",
    suffixes=(".onnxtxt",),
    loader="tests.seams.toy_importer:TextLoader",
    distributions=("onnx",),
    formats=("onnx",),
)


class TextLoader(OnnxLoader):
    """Has another way to read the file, and the rest of ONNX."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedOnnx:
        import onnx.parser

        try:
            return LoadedOnnx(onnx.parser.parse_model(path.read_text()), has_random_weights=False)
        except onnx.parser.ParseError as error:
            raise ImportFailed(f"{path}: not ONNX in text") from error


def write_perceptron(path: Path, features: int = 12, hidden: int = 64, classes: int = 5, seed: int = 0) -> Path:
    """Weights of seeded random values; an .npz under another name."""
    generator = np.random.default_rng(seed)
    shapes = {"w1": (features, hidden), "b1": (hidden,), "w2": (hidden, classes), "b2": (classes,)}
    with path.open("wb") as stream:
        np.savez(stream, **{name: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()})
    return path


class PerceptronLoader:
    """Reads the weights."""

    def load(self, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        try:
            with np.load(path) as stored:
                return {name: stored[name] for name in ("w1", "b1", "w2", "b2")}
        except (OSError, ValueError, KeyError) as error:
            raise ImportFailed(f"{path}: not a perceptron: {error}") from error

    def specialise(self, loaded: dict[str, Any], shapes: Shapes) -> ImportedModel:
        features, classes = loaded["w1"].shape[0], loaded["w2"].shape[1]
        data = TensorType("data", tuple(shapes.inputs.get("data", (shapes.batch or 1, features))), "float32")
        return Perceptron(loaded, [data], [TensorType("scores", (data.shape[0], classes), "float32")])


@dataclass
class Perceptron(ImportedModel):
    """relu(data w1 + b1) w2 + b2."""

    weights: dict[str, Any]
    inputs: Sequence[TensorType]
    outputs: Sequence[TensorType]

    @property
    def operators(self) -> Mapping[str, int]:
        return {"Linear": 2, "Relu": 1}

    @property
    def params_bytes(self) -> int:
        return sum(int(array.nbytes) for array in self.weights.values())

    def relax(self) -> Any:
        from tvm import relax

        builder = relax.BlockBuilder()
        data = relax.Var("data", relax.TensorType(tuple(self.inputs[0].shape), "float32"))
        w1, b1, w2, b2 = (relax.const(self.weights[name]) for name in ("w1", "b1", "w2", "b2"))
        with builder.function("main", [data]):
            with builder.dataflow():
                hidden = builder.emit(relax.op.add(relax.op.matmul(data, w1), b1))
                scores = relax.op.add(relax.op.matmul(builder.emit(relax.op.nn.relu(hidden)), w2), b2)
                output = builder.emit_output(scores)
            builder.emit_func_output(output)
        return builder.get()

    def expected_outputs(self, folder: Path, feeds: Mapping[str, Any]) -> list[Any]:
        hidden = np.maximum(feeds["data"] @ self.weights["w1"] + self.weights["b1"], 0)
        return [hidden @ self.weights["w2"] + self.weights["b2"]]
