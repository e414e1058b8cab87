"""What runs in TensorFlow's interpreter: `convert MODEL OUT.onnx`, and `run MODEL NET.onnx IN.npz OUT.npz`.

It imports nothing of this package, which that interpreter may not have.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

SAVED_MODEL = "saved_model.pb"
OPSET = 17


def convert(model: Path, out: Path) -> None:
    """Write the network as ONNX, its inputs and outputs by the names of the signature, or of the frozen graph."""
    import tensorflow as tf
    from tf2onnx import convert as converting
    from tf2onnx import tf_loader

    if model.name == SAVED_MODEL:
        graph, inputs, outputs, tables, renamed = tf_loader.from_saved_model(
            str(model.parent), None, None, return_initialized_tables=True, return_tensors_to_rename=True
        )
    else:
        graph, inputs, outputs = tf_loader.from_graphdef(str(model), *_ends(model))
        tables, renamed = None, {name: name.partition(":")[0] for name in inputs}
    with tf.device("/cpu:0"):
        converting._convert_common(
            graph,
            name=model.name,
            opset=OPSET,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=renamed,
            initialized_tables=tables,
            output_path=str(out),
        )


def run(model: Path, network: Path, feeds: Path, out: Path) -> None:
    """Write what TensorFlow gives for the inputs, as `output_0` and so on in the order of the converted network."""
    import numpy as np
    import onnx
    import tensorflow as tf

    names = [value.name for value in onnx.load(str(network), load_external_data=False).graph.output]
    with np.load(feeds) as stored:
        given = {name: stored[name] for name in stored.files}
    if model.name == SAVED_MODEL:
        loaded = tf.saved_model.load(str(model.parent))
        signature = loaded.signatures["serving_default"]
        results = signature(**{name: tf.constant(value) for name, value in given.items()})
        arrays = [results[name].numpy() for name in names]
    else:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(_graph(model), name="")
            with tf.compat.v1.Session(graph=graph) as session:
                arrays = session.run(names, {f"{name}:0": value for name, value in given.items()})
    np.savez(out, **{f"output_{index}": array for index, array in enumerate(arrays)})


def _graph(model: Path) -> Any:
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(model.read_bytes())
    return graph


def _ends(model: Path) -> tuple[list[str], list[str]]:
    """Placeholders of a frozen graph, and what none of its nodes takes."""
    nodes = list(_graph(model).node)
    taken = {name.lstrip("^").partition(":")[0] for node in nodes for name in node.input}
    inputs = [f"{node.name}:0" for node in nodes if node.op == "Placeholder"]
    outputs = [f"{node.name}:0" for node in nodes if node.name not in taken and node.op not in ("NoOp", "Placeholder")]
    return inputs, outputs


if __name__ == "__main__":
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    if sys.argv[1] == "convert":
        convert(*map(Path, sys.argv[2:]))
    else:
        run(*map(Path, sys.argv[2:]))
