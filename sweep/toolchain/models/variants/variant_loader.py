"""Loads variants: the network that one is made of, by its own loader, then what makes the variant of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from sweep.errors import ImportFailed, in_one_line
from sweep.files.npz import load_arrays
from sweep.files.sweep_dir import network_file
from sweep.registry import attribute_at
from sweep.study.importers.importer_registry import importer_named
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.loader import ImportedModel, ModelLoader, Shapes
from sweep.toolchain.models.onnx_loader import OnnxLoader
from sweep.toolchain.models.onnx_types import input_types
from sweep.toolchain.models.rewriting.against_original import original_outputs
from sweep.toolchain.models.variants.settled_onnx import settled_onnx
from sweep.toolchain.models.variants.structured_pruning import Pruned, masked, pruned
from sweep.toolchain.models.variants.unstructured_pruning import sparsified
from sweep.toolchain.weights_file import WeightsFile

__all__ = ["VariantLoader", "check_against_zeros", "onnx_of", "trained_steps", "weights_file", "with_weights"]

_TOLERANCE = 1e-3
"""Of the largest value of an output: sums of fewer numbers are added in another order."""


@dataclass(frozen=True, slots=True)
class LoadedVariant:
    """A network that is loaded, and what makes the variant of it."""

    loader: ModelLoader
    loaded: Any
    step: str
    options: Mapping[str, Any]
    weights: Path | None = None
    """File of what was learned, of one that was trained."""


class VariantLoader:
    """Makes variants."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedVariant:
        """What it is made of, which may be a variant itself. Raises ImportFailed."""
        base = {**options["base"], **{name: options[name] for name in ("trained_dir",) if name in options}}
        loader = cast("type", attribute_at(importer_named(base["importer"]).loader))()
        ((step, how),) = options["variant"].items()
        weights = None
        if step == "train":
            weights = Path(options["trained_dir"]) / weights_file(trained_steps(options["base"]))
        return LoadedVariant(loader, loader.load(path, base), step, how, weights)

    def specialise(self, loaded: LoadedVariant, shapes: Shapes) -> ImportedModel:
        """The variant for these shapes, checked against what it is made of. Raises ImportFailed."""
        proto, about = self.made(loaded, shapes)
        with tempfile.TemporaryDirectory(prefix="sweep-variant-") as folder:
            path = Path(folder) / network_file("onnx")
            path.write_bytes(proto.SerializeToString())
            onnx = OnnxLoader()
            model = onnx.specialise(
                onnx.load(path, {"weights": "as-is"}), Shapes({}, None, shapes.seed, None, shapes.values)
            )
        model.variant = about
        return model

    def made(self, loaded: LoadedVariant, shapes: Shapes) -> tuple[Any, dict[str, Any]]:
        """The variant in ONNX, and what is told of it."""
        base = settled_onnx(onnx_of(loaded.loader, loaded.loaded, shapes))
        level, method = float(loaded.options["level"]), str(loaded.options.get("method", loaded.step))
        about = {"step": loaded.step, "method": method, "level": level}
        if loaded.step == "prune":
            made = pruned(base, level, method, shapes.seed)
            return made.model, {**about, **_told(made), "max_abs_diff": check_against_zeros(made, shapes)}
        if loaded.weights is not None:
            return with_weights(base, loaded.weights), about
        zeroed = sparsified(
            base,
            level,
            method,
            shapes.seed,
            exclude_first=bool(loaded.options.get("exclude_first")),
            scope=str(loaded.options.get("scope", "layer")),
        )
        return zeroed.model, {**about, "weights": zeroed.weights, "zeros": zeroed.zeros}


def trained_steps(options: Mapping[str, Any]) -> int:
    """How often a model is trained on its way, by the options of its import."""
    own = int("train" in options.get("variant", {}))
    return own + (trained_steps(options["base"]) if "base" in options else 0)


def weights_file(number: int) -> str:
    """In the folder of a training: of this training among those that came before it, from 0 on."""
    return f"learned-{number}.npz"


def with_weights(model: Any, path: Path) -> Any:
    """The network with what was learned in place of its own. Raises ImportFailed where it does not fit."""
    from onnx import numpy_helper

    learned = load_arrays(path)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, array in learned.items():
        if name not in tensors or tuple(tensors[name].dims) != array.shape:
            raise ImportFailed(f"train: what was learned of {name!r} does not fit the network at this batch")
        tensors[name].CopyFrom(numpy_helper.from_array(array, name))
    return model


def onnx_of(loader: Any, loaded: Any, shapes: Shapes) -> Any:
    """A network in ONNX, for shapes that are fixed. Raises ImportFailed where it has no such form."""
    if isinstance(loader, VariantLoader):
        return loader.made(loaded, shapes)[0]
    if isinstance(loader, OnnxLoader):
        return loader.fixed(loaded, shapes)
    import onnx

    network = loader.specialise(loaded, shapes)
    with tempfile.TemporaryDirectory(prefix="sweep-variant-") as folder:
        if "onnx" not in network.write(Path(folder), WeightsFile()):
            raise ImportFailed("variants are made in ONNX, and the network that this one is made of has no such form")
        return onnx.load(str(Path(folder) / network_file("onnx")))


def _told(made: Pruned) -> dict[str, Any]:
    return {
        "parameters_before": made.parameters_before,
        "parameters": made.parameters,
        "removed": made.share,
        "filters_before": made.filters_before,
        "filters": made.filters,
    }


def check_against_zeros(made: Pruned, shapes: Shapes) -> float | None:
    """How far outputs are from those of the whole network whose filters are zero where the pruned one has none.

    None where nothing here runs the whole one. Raises ImportFailed where they differ by more than rounding.
    """
    feeds = make_inputs(input_types(made.analysis.model), shapes.seed)
    try:
        expected = original_outputs(masked(made), feeds)
    except Exception:  # noqa: BLE001  (of many classes; the row then says that it has no expected output)
        return None
    try:
        found = original_outputs(made.model, feeds)
    except Exception as error:
        raise ImportFailed(f"prune: the pruned network does not run: {in_one_line(error)}") from error
    return max((_difference(one, other) for one, other in zip(found, expected, strict=True)), default=0.0)


def _difference(found: Any, expected: Any) -> float:
    if found.shape != expected.shape:
        raise ImportFailed(f"prune: an output is {list(found.shape)} instead of {list(expected.shape)}")
    if found.size == 0 or found.dtype.kind not in "fiu":
        return 0.0
    apart = float(np.max(np.abs(found.astype(np.float64) - expected.astype(np.float64))))
    scale = float(np.max(np.abs(expected.astype(np.float64))))
    if not apart <= _TOLERANCE * max(scale, float(np.finfo(np.float32).tiny)):
        raise ImportFailed(
            f"prune: outputs differ by {apart:.3g} from those of the network whose filters are set to zero, the "
            f"largest of which is {scale:.3g}"
        )
    return apart
