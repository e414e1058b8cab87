"""From an ONNX file to a Relax module: checked, shapes fixed, simplified for inference, with ONNX Runtime's answer."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed, in_one_line
from sweep.files.sweep_dir import network_file
from sweep.toolchain.models import onnx_detached, onnx_shapes, onnx_simplify, onnx_weights
from sweep.toolchain.models.expected_output import make_inputs, run_onnxruntime
from sweep.toolchain.models.loader import ImportedModel, Shapes
from sweep.toolchain.models.onnx_types import output_types, type_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.toolchain.weights_file import WeightsFile

__all__ = ["OnnxLoader", "OnnxModel"]

_LOWEST_IR_VERSION = 8
"""Before version 4 of the format every initialiser is an input too, and runtimes must not fold it."""
_ADD_BROADCASTS_SINCE = 7
_FILE = network_file("onnx")
_SELF_CONTAINED_BYTES = 8 * 2**20
"""Of weights, up to which the file has them in itself: every tool reads it then. The onnx package does not follow it to
weights that are shared by a hard link.
"""


@dataclass(frozen=True, slots=True)
class LoadedOnnx:
    """A network as its file has it."""

    proto: Any
    has_random_weights: bool
    """Whether seeded random weights take the place of constant ones."""


class OnnxLoader:
    """Reads ONNX files."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedOnnx:
        """The network of a file, checked. Raises ImportFailed."""
        proto = _read(path)
        _check_operators(proto)
        return LoadedOnnx(proto, options.get("weights") == "random")

    def specialise(self, loaded: LoadedOnnx, shapes: Shapes) -> OnnxModel:
        """The network for these shapes, simplified for inference. Raises ImportFailed."""
        misfit = onnx_shapes.misfit(shapes.batch, bool(shapes.inputs))
        proto = _prepared(loaded, shapes, misfit)
        scaled: Sequence[str] = ()
        if loaded.has_random_weights:
            feeds = make_inputs([type_of(value) for value in proto.graph.input], shapes.seed)
            scaled = onnx_weights.calibrate_outputs(proto, feeds)
        return OnnxModel(proto, misfit, scaled)


class OnnxModel(ImportedModel):
    """A network in ONNX whose shapes are fixed."""

    def __init__(self, proto: Any, misfit: str | None, own_weights: Sequence[str]) -> None:
        """misfit: what to say first where TVM refuses it. own_weights: those that another shape would change."""
        self._proto, self._misfit, self._own_weights = proto, misfit, own_weights
        self.inputs = [type_of(value) for value in proto.graph.input]
        self.outputs = output_types(proto)
        self.operators = dict(Counter(node.op_type for node in proto.graph.node).most_common())
        self.params_bytes = sum(_tensor_bytes(tensor) for tensor in proto.graph.initializer)

    def write(self, folder: Path, weights: WeightsFile) -> Sequence[str]:
        """The network as ONNX Runtime gets it. The weights of a large one are external data in the file of weights."""
        content: Mapping[str, bytes] = {}
        if self.params_bytes > _SELF_CONTAINED_BYTES:
            content = onnx_detached.detach(self._proto, keep=self._own_weights)
            spans = {name: weights.put(data) for name, data in content.items()}
            if spans:
                onnx_detached.refer(self._proto, weights.write(folder), spans)
        (folder / _FILE).write_bytes(self._proto.SerializeToString())
        onnx_detached.attach(self._proto, content)
        return ("onnx",)

    def expected_outputs(self, folder: Path, feeds: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """ONNX Runtime's."""
        return run_onnxruntime(folder / _FILE, feeds)

    def relax(self) -> Any:
        """As TVM's own importer of ONNX has it."""
        frontend = importlib.import_module("tvm.relax.frontend.onnx")
        printed = io.StringIO()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
                warnings.simplefilter("ignore")
                return frontend.from_onnx(self._proto, keep_params_in_input=False)
        except Exception as error:
            at = printed.getvalue().partition(", with inputs")[0].removeprefix("Error converting operator ").strip()
            where = f"operator {at}: " if at else ""
            problem = self._misfit or "TVM cannot import the network"
            raise ImportFailed(f"{problem}: {where}{in_one_line(error)}") from error


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


def _prepared(loaded: LoadedOnnx, shapes: Shapes, misfit: str | None) -> Any:
    model = loaded.proto
    onnx_shapes.fix_shapes(model, shapes.inputs, shapes.batch)
    if loaded.has_random_weights:
        onnx_weights.seed_weights(model, shapes.seed)
    model.ir_version = max(model.ir_version, _LOWEST_IR_VERSION)
    onnx_simplify.drop_unused(model)
    onnx_simplify.remove_dropout(model)
    if _opset(model) >= _ADD_BROADCASTS_SINCE:
        onnx_simplify.split_sums(model)
    onnx_simplify.fold_constants(model)
    content = onnx_detached.detach(model, only_floats=True)  # else all weights are copied thrice, in a second a 100 MB
    model = onnx_shapes.infer_shapes(model, misfit)
    onnx_detached.attach(model, content)
    return model


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


def _tensor_bytes(tensor: Any) -> int:
    from onnx import numpy_helper

    return int(numpy_helper.to_array(tensor).nbytes)
