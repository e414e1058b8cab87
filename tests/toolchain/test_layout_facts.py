"""What is told of layouts, of networks with many ways through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweep.toolchain.layout_facts import layout_facts
from sweep.toolchain.tvm_loader import load_tvm


def residual(blocks: int) -> Any:
    """Half of a convolution's channels, blocks that add what they make to what they are of, and a transposition."""
    load_tvm(())
    from tvm import relax

    builder = relax.BlockBuilder()
    data = relax.Var("x", relax.TensorType([1, 4, 6, 6], "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            value = builder.emit(relax.op.nn.conv2d(data, relax.const(np.ones((4, 4, 1, 1), np.float32))))
            value = builder.emit(relax.op.split(value, 2, axis=1))[0]
            for _ in range(blocks):
                value = builder.emit(relax.op.add(value, builder.emit(relax.op.nn.relu(value))))
            result = builder.emit_output(relax.op.permute_dims(value, [0, 2, 3, 1]))
        builder.emit_func_output(result)
    return builder.get()


@pytest.mark.tvm
@pytest.mark.parametrize(("blocks", "before"), [(0, "split"), (300, "add")])
def test_each_value_is_looked_at_once(blocks: int, before: str) -> None:
    """By all ways through 300 blocks it would not end; half of a value flows as the whole does."""
    facts = layout_facts(residual(blocks), None)
    assert facts["convolutions"] == {"NCHW": 1}
    assert facts["transpositions"] == [f"transposition between {before} and an output"]
