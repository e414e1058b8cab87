"""Programs of constants are evaluated together, and to what TVM's own pass evaluates them to one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax, topi

from sweep.toolchain.passes.call import calls_of, constant_of
from sweep.toolchain.passes.constant_programs import FoldConstantPrograms

WEIGHTS = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


def network(chain: int) -> Any:
    """A product with weights that are transposed, cut in two and put together again, `chain` times."""
    builder, data = relax.BlockBuilder(), relax.Var("data", relax.TensorType((4, 8), "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            weights: Any = relax.const(WEIGHTS)
            for _ in range(chain):
                parts = builder.emit_te(topi.split, weights, 2, 1)
                left, right = builder.emit(parts[0]), builder.emit(parts[1])
                weights = builder.emit_te(swapped, left, right)
            result = builder.emit_output(builder.emit_te(topi.matmul, data, weights))
        builder.emit_func_output(result)
    return builder.get()


def swapped(left: Any, right: Any) -> Any:
    return topi.concatenate([topi.exp(right), left], 1)


def finished(module: Any) -> Any:
    passes = relax.transform
    return passes.DeadCodeElimination()(passes.CanonicalizeBindings()(module))


def test_the_result_is_that_of_tvm_to_the_bit() -> None:
    assert len(calls_of(network(3))) == 7
    own = finished(FoldConstantPrograms()(network(3)))
    tvms = network(3)
    for _ in range(6):  # of a chain it folds a link at a time
        tvms = finished(relax.transform.FoldConstant()(tvms))
    results = []
    for module in (own, tvms):
        [product] = calls_of(module)  # is all that is left
        _, weights = product.args[1].fields
        results.append(constant_of(weights))
    assert results[0].shape == (8, 6)
    assert (results[0] == results[1]).all()
    assert results[0].tolist() != WEIGHTS.tolist()


def test_what_depends_on_the_data_stays() -> None:
    builder, data = relax.BlockBuilder(), relax.Var("data", relax.TensorType((8, 6), "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            first, second = (builder.emit_te(topi.add, data, relax.const(WEIGHTS)) for _ in range(2))
            result = builder.emit_output(builder.emit_te(topi.add, first, second))
        builder.emit_func_output(result)
    module = builder.get()
    assert len(calls_of(FoldConstantPrograms()(module))) == len(calls_of(module)) == 3


def test_one_call_alone_is_left_to_tvm() -> None:
    builder, data = relax.BlockBuilder(), relax.Var("data", relax.TensorType((8, 6), "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            weights = builder.emit_te(topi.exp, relax.const(WEIGHTS))
            result = builder.emit_output(builder.emit_te(topi.add, data, weights))
        builder.emit_func_output(result)
    module = builder.get()
    assert len(calls_of(FoldConstantPrograms()(module))) == 2


def test_a_program_that_tvm_refuses_leaves_all_to_its_own_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr("sweep.toolchain.passes.constant_programs.tvm.compile", refused)
    assert len(calls_of(FoldConstantPrograms()(network(3)))) == 7
