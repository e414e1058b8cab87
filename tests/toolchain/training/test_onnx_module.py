"""An ONNX network in torch computes what ONNX Runtime does, and learns in all its stored numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper, parser

from sweep.errors import ImportFailed
from sweep.toolchain.models.expected_output import run_onnxruntime
from sweep.toolchain.models.variants.settled_onnx import settled_onnx
from tests.toolchain.models.variants.small_networks import NETWORKS, network

torch = pytest.importorskip("torch")

from sweep.toolchain.training.onnx_module import OnnxModule  # noqa: E402

FURTHER = {
    "pooled": """c = Conv<auto_pad = "SAME_UPPER", strides = [2, 2], dilations = [1, 1]>(x, k)
        l = LeakyRelu<alpha = 0.2>(c) m = MaxPool<kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1]>(l)
        a = AveragePool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(m)
        b = AveragePool<kernel_shape = [2, 2], count_include_pad = 1, pads = [0, 0, 1, 1]>(a)
        t = Tanh(b) e = Elu(t) h = HardSwish(e) f = Flatten(h) y = Softmax(f)""",
    "moved": """c = Conv<pads = [0, 1, 2, 0]>(x, k) lo, hi = Split<axis = 1>(c, halves) s = Sub(lo, hi) m = Mul(lo, s)
        t = Transpose<perm = [0, 2, 3, 1]>(m) r = Reshape(t, flat) u = Unsqueeze(r, one) q = Squeeze(u, one)
        v = Clip(q, low, high) y = Identity(v)""",
}


def further(name: str) -> Any:
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1, 3, 8, 8] x) => (float[1, n] y) {{ {FURTHER[name]} }}'
    )
    stored = {"k": np.random.default_rng(0).standard_normal((6, 3, 3, 3)).astype(np.float32)}
    stored |= {"halves": np.array([3, 3]), "flat": np.array([0, -1]), "one": np.array([1])}
    stored |= {"low": np.array(-0.5, np.float32), "high": np.array(0.5, np.float32)}
    used = {taken for node in model.graph.node for taken in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in stored.items() if key in used)
    return model


@pytest.mark.parametrize("name", [*NETWORKS, *FURTHER])
def test_it_computes_what_onnx_runtime_does(name: str) -> None:
    model = settled_onnx(further(name) if name in FURTHER else network(name))
    data = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    expected = run_onnxruntime(model.SerializeToString(), {"x": data})[0]
    found = OnnxModule(model).logits(torch.from_numpy(data)).detach()
    if name == "pooled":
        found = found.softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), expected.reshape(1, -1), rtol=1e-4, atol=1e-5)


def test_every_weight_bias_scale_and_shift_has_a_gradient() -> None:
    module = OnnxModule(settled_onnx(network("residual")))
    module.logits(torch.ones(1, 3, 8, 8), is_training=True).sum().backward()
    assert sorted(module.learned) == sorted("ksoljw")
    assert all(module.tensors[name].grad is not None for name in module.learned)
    assert module.layers == ["k", "l", "j", "w"]


def test_what_it_cannot_train_is_named_in_a_line() -> None:
    model = network("plain")
    model.graph.node[1].op_type = "Erf"
    with pytest.raises(ImportFailed, match=r"operators that are not trained here: Erf$"):
        OnnxModule(settled_onnx(model))
