"""From an ONNX file to a Relax module: checked, shapes fixed, simplified for inference, with ONNX Runtime's answer."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed, in_one_line
from sweep.files.sweep_dir import network_file
from sweep.study.importers.onnx_steps import HALVES, steps_of
from sweep.toolchain.host_memory import left_to_this_process
from sweep.toolchain.models import onnx_detached, onnx_shapes, onnx_simplify, onnx_sizes, onnx_weights
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.loader import ImportedModel, Shapes, with_values
from sweep.toolchain.models.onnx_checks import check_operators, check_shapes, check_types, read_onnx, settle_outputs
from sweep.toolchain.models.onnx_converters import with_own_converters
from sweep.toolchain.models.onnx_indices import check_indices
from sweep.toolchain.models.onnx_kernels import check_kernels
from sweep.toolchain.models.onnx_not_as_it_is import check_as_it_is
from sweep.toolchain.models.onnx_types import computes_in_halves, input_types, output_types
from sweep.toolchain.models.own_rounding import distance_from_itself, keeps_peaks, rounds_as_it_runs
from sweep.toolchain.models.rewriting.against_original import compared, original_outputs
from sweep.toolchain.models.rewriting.rewrite import rewritten, rules
from sweep.toolchain.models.rewriting.rules.not_numbers import concerned
from sweep.toolchain.models.rewriting.values_met import Met, has_other_than_numbers, met_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.inspection.network_graph import NetworkGraph
    from sweep.toolchain.weights_file import WeightsFile

__all__ = ["OnnxLoader", "OnnxModel"]

_ADD_BROADCASTS_SINCE = 7
_PRINTED_OPERATOR = re.compile(r'ir\.Op\([^"]*name="([\w.]+)".*?support_level=\d+\)')
"""How TVM's messages have an operator: with all that it knows of it."""
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
    steps: Sequence[str] = ()
    """Of rewriting, that apply to it."""


class OnnxLoader:
    """Reads ONNX files."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedOnnx:
        """The network of a file, checked. Raises ImportFailed."""
        proto = read_onnx(path)
        return LoadedOnnx(proto, options.get("weights") == "random", steps_of(path))

    def specialise(self, loaded: LoadedOnnx, shapes: Shapes) -> OnnxModel:
        """The network for these shapes, simplified for inference. Raises ImportFailed.

        A size of 0 in a file means an open one more often than not: it is taken as it stands where nothing else fits.
        """
        empty = {} if shapes.batch is not None else onnx_shapes.declared_empty(loaded.proto, shapes.inputs)
        kept = onnx_shapes.copied(loaded.proto) if empty else None
        try:
            return self._specialised(loaded, shapes)
        except ImportFailed:
            if kept is None:
                raise
            with contextlib.suppress(ImportFailed):
                sizes = {**shapes.inputs, **empty}
                return self._specialised(replace(loaded, proto=kept), replace(shapes, inputs=sizes))
            raise

    def fixed(self, loaded: LoadedOnnx, shapes: Shapes) -> Any:
        """The network for these shapes in ONNX, simplified, without TVM's form of it. Raises ImportFailed."""
        proto = loaded.proto
        onnx_shapes.fix_shapes(proto, shapes.inputs, shapes.batch, shapes.batch_dims)
        check_types(proto)
        misfit = onnx_shapes.misfit(shapes.batch, bool(shapes.inputs))
        if not loaded.has_random_weights:
            onnx_simplify.drop_weight_inputs(proto)
            return _simplified(proto, misfit)
        onnx_weights.seed_weights(proto, shapes.seed)
        model = _simplified(proto, misfit)
        onnx_weights.calibrate_outputs(model, make_inputs(input_types(model), shapes.seed))
        return model

    def _specialised(self, loaded: LoadedOnnx, shapes: Shapes) -> OnnxModel:
        proto = loaded.proto
        own_sizes = [onnx_shapes.shape_of(value) for value in onnx_shapes.real_inputs(proto)]
        onnx_shapes.fix_shapes(proto, shapes.inputs, shapes.batch, shapes.batch_dims)
        check_types(proto)
        misfit = None
        if own_sizes != [onnx_shapes.shape_of(value) for value in onnx_shapes.real_inputs(proto)]:
            misfit = onnx_shapes.misfit(shapes.batch, bool(shapes.inputs))
        if loaded.has_random_weights:
            return _with_random_weights(proto, shapes.seed, misfit)
        onnx_simplify.drop_weight_inputs(proto)
        if {*loaded.steps} <= {HALVES}:
            with contextlib.suppress(ImportFailed):  # what is said of the rewritten network is nearer to the cause
                return _plain(proto, shapes, misfit)
        return _rewritten(proto, shapes, misfit, loaded.steps)


class OnnxModel(ImportedModel):
    """A network in ONNX whose shapes are fixed."""

    def __init__(
        self,
        proto: Any,
        module: Any,
        *,
        original: Any = None,
        own_weights: Sequence[str] = (),
        rewriting: Mapping[str, Any] | None = None,
        remake: Callable[[Met], _Made] | None = None,
    ) -> None:
        """module: TVM's. original: what other runtimes run, where it is another. own_weights: those that another shape
        would change. rewriting: for the result of the import. remake: writes the network anew, so that it keeps values
        that are NaN or infinite.
        """
        self._proto, self._own_weights, self._module = proto if original is None else original, own_weights, module
        self.inputs = input_types(proto, original)
        self.outputs = output_types(proto)
        shown = proto if rewriting is None else self._proto
        self.operators = dict(Counter(node.op_type for node in shown.graph.node).most_common())
        self.params_bytes = sum(_tensor_bytes(tensor) for tensor in shown.graph.initializer)
        self.rewriting, self._remake = rewriting, remake

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
        """ONNX Runtime's, of the network of the file; the onnx package's where it cannot run it."""
        outputs = original_outputs(self._proto, feeds, folder / _FILE)
        if rounds_as_it_runs(self._proto) or keeps_peaks(self._proto):
            self._allow_for_rounding(folder / _FILE, feeds, outputs)
        if self._remake is not None and has_other_than_numbers(outputs):
            # Where that cannot be, the code may lose them: the check of its outputs says so
            with contextlib.suppress(Exception):
                self._keep_what_is_no_number(feeds, self._remake)
        return outputs

    def _allow_for_rounding(
        self, file: Path, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[NDArray[Any]]
    ) -> None:
        """Let outputs be off by twice what rounding of the inputs alone comes to."""
        distances = distance_from_itself(partial(original_outputs, self._proto, file=file), feeds, outputs)
        self.outputs = [
            replace(tensor, tolerance=max(tensor.tolerance or 0.0, 2 * apart)) if apart else tensor
            for tensor, apart in zip(self.outputs, distances, strict=True)
        ]

    def _keep_what_is_no_number(self, feeds: Mapping[str, NDArray[Any]], remake: Callable[[Met], _Made]) -> None:
        """Write the network anew where it would lose NaN or an infinity. Raises what ONNX Runtime and rules raise."""
        met = met_in(self._proto, feeds)
        if concerned(self._proto, met):
            made = remake(met)
            self._module, self.rewriting = made.module, made.rewriting

    def graph(self) -> NetworkGraph:
        """That of the file, with the weights that it has here."""
        from sweep.inspection.readers.onnx_graph import graph_of_onnx, inferred

        return graph_of_onnx(inferred(onnx_shapes.copied(self._proto)))

    def relax(self) -> Any:
        """As TVM's own importer of ONNX has it."""
        return self._module


def _with_random_weights(proto: Any, seed: int, misfit: str | None) -> OnnxModel:
    onnx_weights.seed_weights(proto, seed)
    model = _simplified(proto, misfit)
    feeds = make_inputs(input_types(model), seed)
    scaled = onnx_weights.calibrate_outputs(model, feeds)
    return OnnxModel(model, _to_relax(model, misfit), own_weights=scaled)


def _plain(original: Any, shapes: Shapes, misfit: str | None) -> OnnxModel:
    """A network that TVM's importer takes as it is."""
    check_operators(original)
    model = _simplified(onnx_shapes.copied(original), misfit)
    check_shapes(model)
    check_indices(model)
    check_kernels(model)
    check_as_it_is(model)
    module = _to_relax(model, misfit)
    return OnnxModel(model, module, original=original, remake=partial(_made_anew, original, shapes, misfit, ()))


@dataclass(frozen=True, slots=True)
class _Made:
    """A network written anew."""

    proto: Any
    module: Any
    rewriting: Mapping[str, Any]


def _rewritten(original: Any, shapes: Shapes, misfit: str | None, steps: Sequence[str]) -> OnnxModel:
    """A network whose operators are replaced until TVM's importer takes it, compared with the file's."""
    made = _made_anew(original, shapes, misfit, steps)
    remake = partial(_made_anew, original, shapes, misfit, steps)
    return OnnxModel(made.proto, made.module, original=original, rewriting=made.rewriting, remake=remake)


def _made_anew(
    original: Any, shapes: Shapes, misfit: str | None, steps: Sequence[str], met: Met | None = None
) -> _Made:
    model = rewritten(original, met)
    check_operators(model, rules())
    model = _inferred(model, misfit)
    check_shapes(model)
    check_indices(model)
    check_kernels(model)
    module = _to_relax(model, misfit)
    inputs = with_values(input_types(model, original), shapes.values)
    comparison = compared(original, model, inputs, shapes.seed)
    named = [*steps, *(["other than numbers"] if met else [])]
    return _Made(model, module, {"steps": named, **asdict(comparison)})


def _simplified(model: Any, misfit: str | None) -> Any:
    onnx_simplify.drop_unused(model)
    onnx_simplify.remove_dropout(model)
    if _opset(model) >= _ADD_BROADCASTS_SINCE:
        onnx_simplify.split_sums(model)
    onnx_simplify.fold_constants(model)
    return _inferred(model, misfit)


def _inferred(model: Any, misfit: str | None) -> Any:
    content = onnx_detached.detach(model, only_floats=True)  # else all weights are copied thrice, in a second a 100 MB
    model = onnx_shapes.infer_shapes(model, misfit)
    onnx_detached.attach(model, content)
    onnx_sizes.check_sizes(model, left_to_this_process())
    return model


def _to_relax(model: Any, misfit: str | None) -> Any:
    """TVM's module. Raises ImportFailed; `misfit` is what it says first."""
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed), with_own_converters() as frontend:
            warnings.simplefilter("ignore")
            module = frontend.from_onnx(model, shape_dict=_empty_inputs(model), keep_params_in_input=False)
    except Exception as error:
        at = printed.getvalue().partition(", with inputs")[0].removeprefix("Error converting operator ").strip()
        where = f"operator {at}: " if at else ""
        said = _PRINTED_OPERATOR.sub(r"\1", in_one_line(error))
        raise ImportFailed(f"{misfit or 'TVM cannot import the network'}: {where}{said}") from error
    settle_outputs(module, model)
    if computes_in_halves(model):
        halves = importlib.import_module("sweep.toolchain.passes.half_sums")  # which loads TVM
        module = halves.AddUpHalves()(module)
    return module


def _empty_inputs(model: Any) -> dict[str, list[int]] | None:
    """Shapes of all inputs where one has no elements: TVM's importer takes a size of 0 for an open one."""
    shapes = {value.name: [size or 0 for size in onnx_shapes.shape_of(value)] for value in model.graph.input}
    return shapes if any(0 in shape for shape in shapes.values()) else None


def _opset(model: Any) -> int:
    return max((int(opset.version) for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=1)


def _tensor_bytes(tensor: Any) -> int:
    from onnx import numpy_helper

    return int(numpy_helper.to_array(tensor).nbytes)
