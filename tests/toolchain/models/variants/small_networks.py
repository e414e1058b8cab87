"""Small networks with one way each in which channels hang together, as ONNX's text, with seeded weights."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["NETWORKS", "network"]

NETWORKS: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "plain": (
        """c = Conv(x, k) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) y = Gemm<transB = 1>(f, w, b)""",
        {"k": (12, 3, 3, 3), "w": (5, 12), "b": (5,)},
    ),
    "flattened": (
        """c = Conv(x, k, kb) r = Relu(c) f = Flatten(r) h = MatMul(f, w) i = Add(h, b) j = Relu(i) y = MatMul(j, v)""",
        {"k": (8, 3, 3, 3), "kb": (8,), "w": (8 * 36, 10), "b": (10,), "v": (10, 4)},
    ),
    "residual": (
        """a = Conv(x, k) n = BatchNormalization(a, s, o, m, v) r = Relu(n)
        c = Conv<pads = [1, 1, 1, 1]>(r, l) d = Relu(c) e = Conv<pads = [1, 1, 1, 1]>(d, j) t = Add(e, r)
        p = GlobalAveragePool(t) f = Flatten(p) y = Gemm(f, w)""",
        {
            "k": (12, 3, 3, 3),
            "s": (12,),
            "o": (12,),
            "m": (12,),
            "v": (12,),
            "l": (16, 12, 3, 3),
            "j": (12, 16, 3, 3),
            "w": (12, 4),
        },
    ),
    "joined": (
        """a = Conv(x, k) b = Conv(x, l) q = Concat<axis = 1>(a, b) s = Sigmoid(q) c = Conv(s, j)
        p = GlobalAveragePool(c) f = Flatten(p) y = Gemm(f, w)""",
        {"k": (6, 3, 3, 3), "l": (10, 3, 3, 3), "j": (8, 16, 1, 1), "w": (8, 4)},
    ),
    "depthwise": (
        """a = Conv(x, k) d = Conv<group = 12, pads = [1, 1, 1, 1]>(a, g) h = HardSigmoid(d) c = Conv(h, j, jb)
        p = ReduceMean<axes = [2, 3], keepdims = 0>(c) y = Gemm(p, w)""",
        {"k": (12, 3, 3, 3), "g": (12, 1, 3, 3), "j": (9, 12, 1, 1), "jb": (9,), "w": (9, 4)},
    ),
    "squeezed": (
        """a = Conv(x, k) p = GlobalAveragePool(a) q = Conv(p, sq) r = Relu(q) e = Conv(r, ex) g = HardSigmoid(e)
        m = Mul(g, a) c = Conv(m, j) z = GlobalAveragePool(c) f = Flatten(z) y = Gemm(f, w)""",
        {"k": (12, 3, 3, 3), "sq": (6, 12, 1, 1), "ex": (12, 6, 1, 1), "j": (8, 12, 1, 1), "w": (8, 4)},
    ),
    "shuffled": (
        """a = Conv(x, k) r = Reshape(a, s1) t = Transpose<perm = [0, 2, 1, 3, 4]>(r) u = Reshape(t, s2)
        c = Conv<group = 3>(u, g) d = Relu(c) h, l = Split<axis = 1>(d, parts) i = Conv(h, j) q = Concat<axis = 1>(i, l)
        e = Slice(q, st, en, ax) p = GlobalAveragePool(e) f = Flatten(p) y = Gemm(f, w)""",
        {"k": (36, 3, 3, 3), "g": (30, 12, 1, 1), "j": (10, 15, 1, 1), "w": (23, 4)},
    ),
}
"""Nodes by ONNX's text, and shapes of the weights. `x` is 1 x 3 x 8 x 8; kernels of 3 leave 6 x 6."""

_PLACES = {"s1": [1, 3, 12, 6, 6], "s2": [1, 36, 6, 6], "parts": [15, 15], "st": [2], "en": [25], "ax": [1]}


def network(name: str, seed: int = 0) -> Any:
    """One of them, with the shapes of its values."""
    from onnx import numpy_helper, parser

    nodes, shapes = NETWORKS[name]
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[1, 3, 8, 8] x) => (float[1, n] y) {{ {nodes} }}'
    model = parser.parse_model(text)
    generator = np.random.default_rng(seed)
    for weight, shape in shapes.items():
        array = generator.standard_normal(shape).astype(np.float32) * np.float32(0.5)
        if weight == "v" and len(shape) == 1:  # a variance
            array = np.abs(array) + np.float32(0.5)
        model.graph.initializer.append(numpy_helper.from_array(array, weight))
    for place, values in _PLACES.items():
        if any(place in node.input for node in model.graph.node):
            model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=np.int64), place))
    return model
