"""TFLite files: what TensorFlow Lite, now LiteRT, runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.study.importers.importer import FileImporter, ModelInput
from sweep.study.importers.tflite.tflite_outline import read_outline

__all__ = ["TFLITE", "TfliteImporter"]


@dataclass(frozen=True, kw_only=True)
class TfliteImporter(FileImporter):
    """The importer of TFLite models."""

    own_runtime: str = "litert"
    """The runtime that runs the file itself: a study that names no runtimes compares with it."""

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
