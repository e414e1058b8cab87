"""From an ONNX file to a Relax module: checked, shapes fixed, simplified for inference, with the reference output
beside it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models import onnx_shapes, onnx_simplify, onnx_weights
from sweep.toolchain.models.expected_output import make_inputs, run_onnxruntime, save_arrays
from sweep.toolchain.tvm_loader import load_tvm

__all__ = ["import_network"]

_LOWEST_IR_VERSION = 8
"""Before version 4 of the format every initialiser is an input too, and runtimes must not fold it."""
_ADD_BROADCASTS_SINCE = 7
_PROTOBUF_LIMIT_BYTES = 1_900_000_000


def import_network(options: Mapping[str, Any], hints: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write module.json, model.onnx, inputs.npz and reference.npz into `folder`; return the import result but for its
    directory.

    Inputs are named and ordered as the network's own; the parameters of the Relax `main` have the same order.
    Raises ImportFailed.
    """
    start = time.perf_counter()
    path = Path(hints["path"])
    weights = options.get("weights") or (
        "random" if str(hints.get("source", "")).startswith("onnx-light:") else "as-is"
    )
    seed, batch = int(options.get("seed") or 0), options.get("batch")
    model = _prepared(_read(path), options.get("inputs") or {}, None if batch is None else int(batch), weights, seed)
    inputs = {value.name: (onnx_shapes.shape_of(value), _dtype(value)) for value in model.graph.input}
    feeds = make_inputs(inputs, seed)  # type: ignore[arg-type]
    save_arrays(folder / "inputs.npz", feeds)
    if weights == "random":
        onnx_weights.calibrate_outputs(model, feeds)
    _save(model, folder / "model.onnx")
    reference_error = _write_reference(folder, feeds)
    module = _to_relax(model, onnx_shapes.misfit(batch, bool(options.get("inputs"))))
    (folder / "module.json").write_text(str(load_tvm(()).ir.save_json(module)), encoding="utf-8")
    return {
        "inputs": {name: {"shape": shape, "dtype": dtype} for name, (shape, dtype) in inputs.items()},
        "outputs": [{"name": v.name, "shape": onnx_shapes.shape_of(v), "dtype": _dtype(v)} for v in model.graph.output],
        "params_bytes": sum(_tensor_bytes(tensor) for tensor in model.graph.initializer),
        "operators": dict(Counter(node.op_type for node in model.graph.node).most_common()),
        "reference": reference_error is None,
        "reference_error": reference_error,
        "import_s": time.perf_counter() - start,
    }


def _read(path: Path) -> Any:
    import onnx

    if not path.is_file():
        raise ImportFailed(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise ImportFailed(f"{path}: the file is empty")
    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise ImportFailed(f"{path}: not an ONNX file, or a damaged one: {in_one_line(error)}") from error
    if not model.graph.node:
        raise ImportFailed(f"{path}: not an ONNX file, or a damaged one: it holds no graph")
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise ImportFailed(f"{path}: the network is invalid: {in_one_line(error)}") from error
    return model


def _prepared(model: Any, inputs: Mapping[str, Any], batch: int | None, weights: str, seed: int) -> Any:
    _check_operators(model)
    onnx_shapes.fix_shapes(model, inputs, batch)
    if weights == "random":
        onnx_weights.seed_weights(model, seed)
    model.ir_version = max(model.ir_version, _LOWEST_IR_VERSION)
    onnx_simplify.drop_unused(model)
    onnx_simplify.remove_dropout(model)
    if _opset(model) >= _ADD_BROADCASTS_SINCE:
        onnx_simplify.split_sums(model)
    onnx_simplify.fold_constants(model)
    return onnx_shapes.infer_shapes(model, onnx_shapes.misfit(batch, bool(inputs)))


def _opset(model: Any) -> int:
    return max((int(opset.version) for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=1)


def _check_operators(model: Any) -> None:
    """Name each operator that the importer lacks, with a node of it, before anything else is tried."""
    frontend = importlib.import_module("tvm.relax.frontend.onnx.onnx_frontend")
    known = {*frontend._get_convert_map(), "Constant", "If"}
    missing: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type not in known or node.domain not in ("", "ai.onnx", "com.microsoft"):
            missing.setdefault(f"{node.domain}.{node.op_type}".lstrip("."), node.name or ", ".join(node.output))
    if missing:
        listed = "; ".join(f"{operator} (node {node})" for operator, node in sorted(missing.items()))
        raise ImportFailed(f"TVM's ONNX importer does not support: {listed}")


def _to_relax(model: Any, misfit: str | None) -> Any:
    frontend = importlib.import_module("tvm.relax.frontend.onnx")
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
            warnings.simplefilter("ignore")
            return frontend.from_onnx(model, keep_params_in_input=False)
    except Exception as error:
        at = printed.getvalue().partition(", with inputs")[0].removeprefix("Error converting operator ").strip()
        where = f"operator {at}: " if at else ""
        raise ImportFailed(f"{misfit or 'TVM cannot import the network'}: {where}{in_one_line(error)}") from error


def _write_reference(folder: Path, feeds: Mapping[str, Any]) -> str | None:
    try:
        outputs = run_onnxruntime(folder / "model.onnx", feeds)
    except Exception as error:  # noqa: BLE001  (what TVM runs and ONNX Runtime does not is worth measuring)
        return in_one_line(error)
    save_arrays(folder / "reference.npz", {f"output_{index}": output for index, output in enumerate(outputs)})
    return None


def _save(model: Any, path: Path) -> None:
    import onnx

    large = model.ByteSize() > _PROTOBUF_LIMIT_BYTES
    onnx.save_model(model, str(path), save_as_external_data=large, location="model.weights" if large else None)
    if large:
        onnx.load_external_data_for_model(model, str(path.parent))


def _dtype(value: Any) -> str:
    from onnx import helper

    return str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _tensor_bytes(tensor: Any) -> int:
    from onnx import numpy_helper

    return int(numpy_helper.to_array(tensor).nbytes)
