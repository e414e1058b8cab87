"""A small untrained network for handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

__all__ = ["write_net"]

TEXT = """<ir_version: 8, opset_import: ["" : 17]> g (float[N, 1, 8, 8] x) => (float[N, 10] y) {
  c = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, k, b) r = Relu(c) f = Flatten(r) h = Gemm(f, w) s = Relu(h)
  y = Gemm(s, v) }"""


def write_net(path: Path) -> None:
    model, generator = parser.parse_model(TEXT), np.random.default_rng(0)
    for name, shape in {"k": (8, 1, 3, 3), "b": (8,), "w": (128, 32), "v": (32, 10)}.items():
        array = generator.standard_normal(shape) * np.sqrt(2 / (9 if name == "k" else shape[0]))
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    onnx.save(model, str(path))
