"""A SavedModel and its frozen graph give what TensorFlow gives."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweep.errors import ImportFailed
from sweep.study.importers.tensorflow.tensorflow_importer import PYTHON_VARIABLE
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.loader import Shapes
from sweep.toolchain.models.tensorflow.tensorflow_loader import TensorFlowLoader
from sweep.toolchain.weights_file import WeightsFile

PYTHON = os.environ.get(PYTHON_VARIABLE) or sys.executable
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.executable == PYTHON and importlib.util.find_spec("tensorflow") is None, reason="the extra `tensorflow`"
    ),
]
MAKE = """
import sys
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
class Net(tf.Module):
    def __init__(self):
        self.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 3, 8], (0, 1)))
        self.head = tf.Variable(tf.random.stateless_normal([8, 5], (0, 2)))
    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32, name="image")])
    def __call__(self, image):
        seen = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(image, self.kernel, 1, "SAME")), [1, 2])
        return {"classes": tf.nn.softmax(seen @ self.head)}
net = Net()
tf.saved_model.save(net, sys.argv[1] + "/net", signatures=net.__call__)
frozen = convert_variables_to_constants_v2(net.__call__.get_concrete_function())
tf.io.write_graph(frozen.graph, sys.argv[1], "frozen.pb", as_text=False)
"""


def test_both_forms_give_what_tensorflow_gives(tmp_path: Path) -> None:
    subprocess.run([PYTHON, "-c", MAKE, str(tmp_path)], check=True, capture_output=True)
    found = []
    for path in (tmp_path / "net" / "saved_model.pb", tmp_path / "frozen.pb"):
        model = TensorFlowLoader().specialise(TensorFlowLoader().load(path, {}), Shapes({}, 2, 0))
        assert [(one.name, list(one.shape)) for one in model.inputs] == [("image", [2, 16, 16, 3])]
        folder = tmp_path / f"import-{path.stem}"
        folder.mkdir()
        assert model.write(folder, WeightsFile()) == ("onnx",)
        feeds = make_inputs(model.inputs, 0)
        [wanted] = model.expected_outputs(folder, feeds)
        import onnxruntime

        [got] = onnxruntime.InferenceSession(str(folder / "model.onnx")).run(None, dict(feeds))
        assert np.abs(got - wanted).max() < 1e-5
        assert model.relax()["main"].params[0].ty.shape is not None
        found.append(wanted)
    assert np.abs(found[0] - found[1]).max() < 1e-6


def test_what_is_no_graph_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "net.pb").write_bytes(b"no graph at all")
    with pytest.raises(ImportFailed, match=r"^tf2onnx cannot convert net\.pb: ") as refused:
        TensorFlowLoader().load(tmp_path / "net.pb", {})
    assert "\n" not in str(refused.value)
