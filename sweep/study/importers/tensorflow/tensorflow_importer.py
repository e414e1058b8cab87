"""SavedModel folders and frozen graphs of TensorFlow, which tf2onnx turns into ONNX.

TensorFlow may be in an environment of its own, since it pins more than it needs to: the variable
SWEEP_TENSORFLOW_PYTHON names its interpreter.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweep.study.importers.importer import FileImporter, ModelFiles, WrittenModel, hashed_files, path_of

__all__ = ["PYTHON_VARIABLE", "SAVED_MODEL", "TENSORFLOW", "TensorFlowImporter"]

PYTHON_VARIABLE = "SWEEP_TENSORFLOW_PYTHON"
SAVED_MODEL = "saved_model.pb"
_PACKAGES = ("tensorflow", "tf2onnx")


@dataclass(frozen=True, kw_only=True)
class TensorFlowImporter(FileImporter):
    """The importer of SavedModel folders and of `.pb` files."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The graph's file, and the variables beside it. Raises StudyError, also where nothing can convert it."""
        path = path_of(written)
        if path.is_dir():
            path = path / SAVED_MODEL
        if not path.is_file():
            raise written.refused("is not there", f"a folder with {SAVED_MODEL}, or a frozen graph (.pb)")
        if path.stat().st_size == 0:
            raise written.refused("is an empty file", self.title)
        _check_converter(path, written)
        companions = tuple(_beside(path)) if path.name == SAVED_MODEL else ()
        return hashed_files(path.absolute(), written, companions)


def _beside(path: Path) -> Iterator[Path]:
    for folder in ("variables", "assets"):
        yield from sorted(one.absolute() for one in (path.parent / folder).rglob("*") if one.is_file())


def _check_converter(path: Path, written: WrittenModel) -> None:
    """Raises StudyError with the command that a person may run elsewhere."""
    if python := os.environ.get(PYTHON_VARIABLE):
        if not os.access(python, os.X_OK):
            raise written.refused(f"needs TensorFlow, and {PYTHON_VARIABLE}={python} is no interpreter")
        return
    absent = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if not absent:
        return
    frozen = f"--graphdef {path} --inputs X:0 --outputs Y:0"
    source = f"--saved-model {path.parent}" if path.name == SAVED_MODEL else frozen
    raise written.refused(
        f"needs {' and '.join(absent)}, not installed here",
        f"pip install 'tvm-sweep[tensorflow]'; {PYTHON_VARIABLE}=PYTHON of an environment that has them; or the file "
        f"of `python -m tf2onnx.convert {source} --opset 17 --output net.onnx`",
    )


TENSORFLOW = TensorFlowImporter(
    name="tensorflow",
    title="a SavedModel or frozen graph of TensorFlow",
    suffixes=(".pb",),
    distributions=("tensorflow-cpu", "tf2onnx", "onnx"),
    formats=("onnx",),
    loader="sweep.toolchain.models.tensorflow.tensorflow_loader:TensorFlowLoader",
)
