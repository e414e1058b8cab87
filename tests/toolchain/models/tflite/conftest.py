"""Runs TFLite networks in this process, compiled and in LiteRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]


def compiled(module: Any, inputs: Sequence[Array], level: int = 0) -> list[Array]:
    """The outputs of a Relax module, lowered as an opt level says."""
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target
    from tests.toolchain.quick_builds import machine_of, quick

    tvm = load_tvm()
    target = resolve_target(quick({"kind": "llvm"}))
    machine = machine_of(lower(module, {"opt_level": level}, target).module, target)
    outputs = machine["main"](*(tvm.runtime.tensor(array) for array in inputs))
    return [each.numpy() for each in ([outputs] if hasattr(outputs, "numpy") else outputs)]


def litert(path: Path, inputs: Sequence[Array], *, delegated: bool = True) -> list[Array]:
    """LiteRT's outputs."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="the extra [tflite] is not installed")
    kinds = interpreter.OpResolverType
    kind = kinds.BUILTIN if delegated else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    machine = interpreter.Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kind)
    for about, array in zip(machine.get_input_details(), inputs, strict=True):
        machine.resize_tensor_input(about["index"], array.shape)
    machine.allocate_tensors()
    for about, array in zip(machine.get_input_details(), inputs, strict=True):
        machine.set_tensor(about["index"], array)
    machine.invoke()
    return [machine.get_tensor(about["index"]) for about in machine.get_output_details()]


def read(path: Path, *, batch: int | None = None, shapes: Mapping[str, Sequence[int]] | None = None) -> Any:
    """The network of a file, for these shapes. TVM is loaded as compile workers do it: all intrinsics take 20 s."""
    from sweep.toolchain.tvm_loader import load_tvm

    load_tvm()
    from sweep.toolchain.models.loader import Shapes
    from sweep.toolchain.models.tflite.tflite_loader import TfliteLoader

    loader = TfliteLoader()
    return loader.specialise(loader.load(path, {}), Shapes(shapes or {}, batch, 0))


def drawn(shape: Sequence[int], dtype: str = "int8", seed: int = 0) -> Array:
    """Values over the whole range of a type; standard normal ones of a float."""
    generator = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return generator.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max + 1, shape).astype(dtype)
