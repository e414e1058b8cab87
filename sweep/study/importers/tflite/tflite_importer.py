"""TFLite files: what TensorFlow Lite, now LiteRT, runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.study.importers.importer import AS_INTEGERS, FileImporter, ModelFiles, ModelInput, WrittenModel
from sweep.study.importers.tflite.tflite_outline import read_outline

__all__ = ["TFLITE", "TfliteImporter"]


@dataclass(frozen=True, kw_only=True)
class TfliteImporter(FileImporter):
    """The importer of TFLite models."""

    own_runtime: str = "litert"
    """The runtime that runs the file itself: a study that names no runtimes compares with it."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file, and whether it is quantised; of a damaged one its loader tells."""
        found = super().identify(written)
        try:
            is_quantised = read_outline(found.path).is_quantised
        except (ValueError, OSError):
            is_quantised = False
        return replace(found, options=AS_INTEGERS) if is_quantised else found

    def inputs_of(self, path: Path) -> Sequence[ModelInput]:
        """What a caller feeds. Raises ValueError, OSError."""
        return read_outline(path).model_inputs()


TFLITE = TfliteImporter(
    name="tflite",
    title="a TFLite model",
    suffixes=(".tflite", ".lite"),
    distributions=("tflite",),
    formats=("tflite",),
    loader="sweep.toolchain.models.tflite.tflite_loader:TfliteLoader",
    graph_reader="sweep.inspection.readers.tflite_graph:read_tflite_graph",
)
