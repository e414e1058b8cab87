"""LiteRT on one network, `python -m sweep.toolchain.models.tflite.litert_process`: orders on stdin, the shapes of its
tensors on stdout, its outputs in a file.

A process of its own: kernels of LiteRT end theirs where they find something amiss.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Carry out the orders: {model, shapes, inputs, outputs, delegated}; inputs, outputs: files, one a call, which are
    made one after another. {known, values}: also what these tensors are after a call with zeros, into a file.
    """
    orders = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints
    try:
        result: dict[str, Any] = {"shapes": run(orders)}
    except (RuntimeError, ValueError) as error:
        result = {"error": " ".join(str(error).split())}
    json.dump(result, answer)
    answer.close()


def run(orders: Mapping[str, Any]) -> dict[str, list[int]]:
    """The shape of each tensor of the network by its index; writes the outputs of each call."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from sweep.files.npz import load_arrays, save_arrays

    resolver = OpResolverType.BUILTIN if orders["delegated"] else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    known = orders.get("known", ())
    interpreter = Interpreter(
        orders["model"],
        num_threads=1,
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=bool(known),
    )
    inputs = interpreter.get_input_details()
    for about, shape in zip(inputs, orders["shapes"], strict=True):
        if list(about["shape"]) != shape:
            interpreter.resize_tensor_input(about["index"], shape)
    interpreter.allocate_tensors()
    for given, made in zip(orders["inputs"], orders["outputs"], strict=True):
        arrays = load_arrays(Path(given))
        for about, array in zip(inputs, arrays.values(), strict=True):
            interpreter.set_tensor(about["index"], array)
        interpreter.invoke()
        outputs = [interpreter.get_tensor(about["index"]) for about in interpreter.get_output_details()]
        save_arrays(Path(made), {f"output_{index}": value for index, value in enumerate(outputs)})
    if known:
        for about in interpreter.get_input_details():
            interpreter.set_tensor(about["index"], np.zeros(about["shape"], about["dtype"]))
        interpreter.invoke()
        save_arrays(Path(orders["values"]), {str(index): interpreter.get_tensor(index) for index in known})
    return {str(about["index"]): [int(size) for size in about["shape"]] for about in interpreter.get_tensor_details()}


if __name__ == "__main__":
    main()
