"""The import of a network, whatever its format: what every later stage and every runtime takes from its folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweep.errors import ImportFailed, SweepError, in_one_line
from sweep.files.npz import save_arrays
from sweep.files.sweep_dir import OUTPUTS_FILE
from sweep.inspection.counting.complexity import complexity_of
from sweep.inspection.graph_reading import read_graph
from sweep.registry import attribute_at
from sweep.study.importers.importer_registry import UNNAMED, importer_named
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.input_values import read_values
from sweep.toolchain.models.loader import Shapes, with_values
from sweep.toolchain.module_files import write_module
from sweep.toolchain.weights_file import WeightsFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.toolchain.models.loader import ImportedModel, ModelLoader, TensorType

__all__ = ["import_network"]


def import_network(options: Mapping[str, Any], hints: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the network as a TVM module and for other runtimes, inputs.npz and reference.npz into `folder`; return the
    import result but for its directory.

    options, hints: of the import stage. Inputs are named and ordered as the network's own; the parameters of the Relax
    `main` have the same order. Raises ImportFailed.
    """
    start = time.perf_counter()
    batch, seed = options.get("batch"), int(options.get("seed") or 0)
    shapes = Shapes(
        options.get("inputs") or {},
        None if batch is None else int(batch),
        seed,
        options.get("batch_dims"),
        read_values(options.get("values") or {}, hints.get("input_files") or {}),
    )
    loader = _loader(str(hints.get("loader") or importer_named(UNNAMED).loader))
    trained = {name: hints[name] for name in ("trained_dir",) if name in hints}
    model = _read(loader, Path(hints["path"]), {**options, **trained}, shapes)
    feeds = make_inputs(with_values(model.inputs, shapes.values), seed)
    save_arrays(folder / "inputs.npz", feeds)
    weights = WeightsFile()
    formats = model.write(folder, weights)
    reference_error = _write_expected(model, feeds, folder)
    about = [
        {"name": tensor.name, "is_quantised": tensor.is_quantised, **_allowance(tensor)} for tensor in model.outputs
    ]
    (folder / OUTPUTS_FILE).write_text(json.dumps(about), encoding="utf-8")
    write_module(model.relax(), folder, weights)
    return {
        "inputs": {tensor.name: _told(tensor) for tensor in model.inputs},
        "outputs": [{"name": tensor.name, **_told(tensor), **_allowance(tensor)} for tensor in model.outputs],
        "params_bytes": model.params_bytes,
        **_source_bytes(Path(hints["path"])),
        "operators": dict(model.operators),
        "formats": list(formats),
        "reference": reference_error is None,
        "reference_error": reference_error,
        **({} if model.rewriting is None else {"rewriting": dict(model.rewriting)}),
        **({} if model.variant is None else {"variant": {"of": hints.get("base_name"), **model.variant}}),
        **_complexity(model, Path(hints["path"]), options),
        **({} if model.weights_origin is None else {"weights": model.weights_origin}),
        "import_s": time.perf_counter() - start,
    }


def _source_bytes(path: Path) -> dict[str, int]:
    """Of a file, with external data beside it by the usual name; of a folder, of all in it."""
    try:
        files = path.rglob("*") if path.is_dir() else (path, path.with_name(path.name + ".data"))
        return {"source_bytes": sum(file.stat().st_size for file in files if file.is_file())}
    except OSError:
        return {}


def _complexity(model: ImportedModel, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the network costs; nothing where its file cannot be read as a graph, which is no reason to stop."""
    try:
        graph = model.graph()
        if graph is None:
            importer = importer_named(str(options.get("importer") or UNNAMED))
            graph = read_graph(importer, path, options.get("inputs") or {})
        return {"complexity": complexity_of(graph).totals()}
    except Exception:  # noqa: BLE001  (a file is foreign, and its import is whole without)
        return {}


def _told(tensor: TensorType) -> dict[str, Any]:
    steps = {} if tensor.quantisation is None else asdict(tensor.quantisation)
    return {"shape": list(tensor.shape), "dtype": tensor.dtype, **steps}


def _allowance(tensor: TensorType) -> dict[str, float]:
    """What an output may be off beside the tolerance of the code's precision."""
    names = ("step", "tolerance", "runtime_tolerance")
    return {name: value for name in names if (value := getattr(tensor, name)) is not None}


def _read(loader: ModelLoader, path: Path, options: Mapping[str, Any], shapes: Shapes) -> ImportedModel:
    """A file is foreign: what a library meets in one that is damaged is no bug of this program."""
    try:
        return loader.specialise(loader.load(path, options), shapes)
    except (SweepError, MemoryError):
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {in_one_line(error)}"
        raise ImportFailed(f"{path.name} is damaged, or has what its importer does not foresee: {told}") from error


def _loader(import_path: str) -> ModelLoader:
    try:
        return cast("ModelLoader", cast("type", attribute_at(import_path))())
    except Exception as error:
        problem = f"the loader {import_path} cannot be made: {type(error).__name__}: {in_one_line(error)}"
        raise ImportFailed(problem) from error


def _write_expected(model: ImportedModel, feeds: Mapping[str, NDArray[Any]], folder: Path) -> str | None:
    """Write reference.npz; why it cannot be, where it cannot."""
    try:
        outputs = model.expected_outputs(folder, feeds)
    except Exception as error:  # noqa: BLE001  (what TVM runs and no other does is worth measuring)
        return in_one_line(error)
    save_arrays(folder / "reference.npz", {f"output_{index}": output for index, output in enumerate(outputs)})
    return None
