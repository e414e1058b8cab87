"""From a TFLite file to a Relax module, with LiteRT's answer."""

from __future__ import annotations

import contextlib
import importlib
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tflite

from sweep.errors import ImportFailed, SweepError, in_one_line
from sweep.files.sweep_dir import network_file
from sweep.study.importers.tflite.tflite_outline import GraphOutline, TfliteOutline, outline_of, read_outline
from sweep.toolchain.host_memory import left_to_this_process
from sweep.toolchain.models.input_values import Values
from sweep.toolchain.models.loader import ImportedModel, Shapes, TensorType, with_values
from sweep.toolchain.models.tflite.computed_sizes import computed_sizes
from sweep.toolchain.models.tflite.dynamic_range import distance, rounded_weights, with_float_weights
from sweep.toolchain.models.tflite.litert_answer import litert_outputs, litert_shapes, litert_sizes
from sweep.toolchain.models.tflite.rewriting.calls_in_a_row import compared
from sweep.toolchain.models.tflite.rewriting.rewritten_file import RewrittenFile, rewritten_file
from sweep.toolchain.models.tflite.tflite_tensors import input_types, output_types
from sweep.toolchain.models.tflite.tflite_view import ModelView
from sweep.toolchain.weights_file import WeightsFile, link_or_copy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TfliteLoader", "TfliteModel", "operator_names"]

_FILE = network_file("tflite")
_NOT_IN_LITERT = "LiteRT lacks its operators"
"""Those of a maker's own."""
_ROUNDED = 2.0
"""How much further off than LiteRT's roundings on these inputs a runtime may be: with more threads it adds in another
order, and an activation between two steps is rounded to the other one.
"""


@dataclass(frozen=True, slots=True)
class LoadedTflite:
    """A file, whose outline shows that it is whole."""

    path: Path
    content: bytes
    outline: TfliteOutline
    rewritten: RewrittenFile | None = None
    """What the content is where that is not the file's."""

    @contextlib.contextmanager
    def file(self) -> Iterator[Path]:
        """A file with the content, while it is used."""
        if self.rewritten is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _FILE
            path.write_bytes(self.content)
            yield path


class TfliteLoader:
    """Reads TFLite files."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedTflite:
        """The file, held against the schema. Raises ImportFailed."""
        try:
            outline = read_outline(path)
        except ValueError as error:
            raise ImportFailed(f"{path.name} is no TFLite file, or a damaged one: it {error}") from error
        content = path.read_bytes()
        if (made := rewritten_file(content, outline)) is None:
            return LoadedTflite(path, content, outline)
        return LoadedTflite(path, made.content, outline_of(made.content), made)

    def specialise(self, loaded: LoadedTflite, shapes: Shapes) -> TfliteModel:
        """The network for these shapes. Raises ImportFailed."""
        graph = loaded.outline.graphs[0]
        names = [each.unique_names() for each in loaded.outline.graphs]
        own = {names[0][index]: graph.tensors[index].shape for index in graph.inputs}
        wanted = {name: _wanted(name, shape, shapes) for name, shape in own.items()}
        changed, values, lacking = _asked(loaded, list(wanted.values()), is_other=wanted != own)
        try:
            model = TfliteModel(loaded, ModelView.of(loaded.content, names, changed, values), changed)
        except ImportFailed as error:
            if lacking is None:
                raise
            raise ImportFailed(f"{error}; the sizes that the network computes cannot be had: {lacking}") from error
        if loaded.rewritten is not None:
            model.compare(shapes)
        return model


class TfliteModel(ImportedModel):
    """A network of a TFLite file whose shapes are fixed."""

    def __init__(self, loaded: LoadedTflite, view: ModelView, shapes: Mapping[int, Sequence[int]]) -> None:
        graph = loaded.outline.graphs[0]
        _check_sizes(graph, shapes)
        self._loaded, self._module = loaded, _to_relax(view)
        self.inputs: Sequence[TensorType] = _with_first_values(input_types(graph, shapes), loaded)
        self.outputs: Sequence[TensorType] = _with_shapes(output_types(graph, shapes), self._module)
        self.operators = operator_names(loaded.outline)
        self.params_bytes = len(loaded.content)

    def relax(self) -> Any:
        return self._module

    def compare(self, shapes: Shapes) -> None:
        """Hold what was written anew against the file. Raises ImportFailed where it is another network."""
        made = self._loaded.rewritten
        assert made is not None
        comparison: Mapping[str, Any] = {
            "inputs": 0,
            "max_abs_diff": None,
            "not_compared": _NOT_IN_LITERT,
        }
        if not made.replaced:
            inputs = with_values(self.inputs, shapes.values)
            with self._loaded.file() as path:
                comparison = compared(self._loaded.path, path, inputs, len(made.states), shapes.seed)
        self.rewriting = {"steps": made.steps, **comparison}

    def write(self, folder: Path, weights: WeightsFile) -> Sequence[str]:
        """The file itself, once for all imports of it."""
        own = WeightsFile()
        own.put(self._loaded.content)
        link_or_copy(folder / own.write(folder), folder / _FILE)
        return ("tflite",)

    def expected_outputs(self, folder: Path, feeds: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """LiteRT's; of a network whose weights alone are quantised, what it gives for these as floats."""
        outputs = litert_outputs(folder / _FILE, feeds)
        weights = rounded_weights(self._loaded.outline.graphs[0])
        if not weights:
            return outputs
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / _FILE
            path.write_bytes(with_float_weights(self._loaded.content, weights))
            expected = litert_outputs(path, feeds)
        rounded = [_ROUNDED * apart for apart in distance(outputs, expected)]
        self.outputs = [
            replace(tensor, runtime_tolerance=apart) for tensor, apart in zip(self.outputs, rounded, strict=True)
        ]
        return expected


def _asked(
    loaded: LoadedTflite, shapes: Sequence[Sequence[int]], *, is_other: bool
) -> tuple[dict[int, list[int]], Mapping[int, NDArray[Any]], str | None]:
    """By tensor, the shapes that are not the file's, and the sizes that the network computes, where inputs have these
    shapes; and why the sizes cannot be had, without which TVM takes some networks all the same. is_other: whether they
    are not the file's shapes. Raises ImportFailed.
    """
    graph = loaded.outline.graphs[0]
    computed = computed_sizes(graph)
    values: Mapping[int, NDArray[Any]] = {}
    if not computed and not is_other:
        return {}, values, None
    try:
        with loaded.file() as path:
            if computed:
                changed, values = litert_sizes(path, shapes, computed)
            else:
                changed = litert_shapes(path, shapes)
    except ImportFailed as error:
        if is_other:
            raise ImportFailed(f"another shape than the file's cannot be had: {error}") from error
        return {}, values, str(error)
    return {index: shape for index, shape in changed.items() if index < len(graph.tensors)}, values, None


def operator_names(outline: TfliteOutline) -> dict[str, int]:
    """How often each operator of the network occurs; of a custom one `CUSTOM:NAME`."""
    names = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
    counted = Counter(
        f"CUSTOM:{each.custom}" if each.custom else names.get(each.code, str(each.code))
        for each in outline.graphs[0].operators
    )
    return dict(counted.most_common())


def _with_first_values(inputs: list[TensorType], loaded: LoadedTflite) -> list[TensorType]:
    """States begin with what the file gives them, once for each element of a batch."""
    if loaded.rewritten is None:
        return inputs
    found = []
    for index, tensor in zip(loaded.outline.graphs[0].inputs, inputs, strict=True):
        first = loaded.rewritten.first_values.get(index)
        shape = tuple(size or 0 for size in tensor.shape)
        if first is not None and first.shape != shape and first.shape[1:] == shape[1:] and first.shape[:1] == (1,):
            first = first.repeat(shape[0], axis=0)
        found.append(tensor if first is None else replace(tensor, values=Values(array=first)))
    return found


def _wanted(name: str, shape: Sequence[int], shapes: Shapes) -> tuple[int, ...]:
    if name in shapes.inputs:
        shape = shapes.inputs[name]
    sizes = list(shape)
    if shapes.batch is not None and sizes:
        for index in (0,) if shapes.batch_dims is None else shapes.batch_dims.get(name, ()):
            sizes[index] = shapes.batch
    return tuple(size if size > 0 else 1 for size in sizes)


def _check_sizes(graph: GraphOutline, shapes: Mapping[int, Sequence[int]]) -> None:
    """Raises ImportFailed for a tensor that takes more memory than there is, at a byte a value."""
    most_bytes = left_to_this_process()
    for index, tensor in enumerate(graph.tensors):
        shape = shapes.get(index, tensor.shape)
        if math.prod(shape) > most_bytes:
            raise ImportFailed(
                f"the tensor {tensor.name[:80]!r} has {' x '.join(map(str, shape))} values: more than the "
                f"{most_bytes / 1e9:.1f} GB of memory that a job may take on this host"
            )


def _to_relax(view: ModelView) -> Any:
    frontend = importlib.import_module("tvm.relax.frontend.tflite")
    converter = importlib.import_module("sweep.toolchain.models.tflite.tflite_converter").TfliteConverter
    try:
        module = frontend.from_tflite(view, op_converter=converter)
    except SweepError:
        raise
    except Exception as error:
        raise ImportFailed(f"TVM cannot import the network: {in_one_line(error)}") from error
    module["main"] = module["main"].without_attr("params")  # constants in it already, and here a second time
    return module


def _with_shapes(outputs: Sequence[TensorType], module: Any) -> list[TensorType]:
    """With those that the module has: a file may leave them open."""
    made = module["main"].ret_ty
    fields = list(made.fields) if len(outputs) > 1 or hasattr(made, "fields") else [made]
    shaped = []
    for tensor, field in zip(outputs, fields, strict=True):
        if getattr(field, "shape", None) is None or not hasattr(field.shape, "values"):
            raise ImportFailed(f"the shape of the output {tensor.name!r} depends on the values of the inputs")
        shaped.append(replace(tensor, shape=[int(size) for size in field.shape.values], dtype=str(field.dtype)))
    return shaped
