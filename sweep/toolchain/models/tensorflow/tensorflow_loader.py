"""Loads TensorFlow's models: converted to ONNX by tf2onnx, and held against TensorFlow's own outputs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed
from sweep.files.npz import load_arrays, save_arrays
from sweep.files.sweep_dir import network_file
from sweep.installation import child_environment, python_command
from sweep.study.importers.tensorflow.tensorflow_importer import PYTHON_VARIABLE
from sweep.toolchain.models.loader import ImportedModel, Shapes
from sweep.toolchain.models.onnx_loader import LoadedOnnx, OnnxLoader, OnnxModel
from sweep.toolchain.models.tensorflow import tensorflow_process

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.toolchain.weights_file import WeightsFile

__all__ = ["TensorFlowLoader"]


@dataclass(frozen=True, slots=True)
class LoadedTensorFlow:
    """A model, and what it was converted to."""

    path: Path
    network: LoadedOnnx


class TensorFlowLoader:
    """Reads SavedModel folders and frozen graphs."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedTensorFlow:
        """The model in ONNX. Raises ImportFailed."""
        with tempfile.TemporaryDirectory(prefix="sweep-tensorflow-") as folder:
            network = Path(folder, "net.onnx")
            _tensorflow("convert", path, network)
            return LoadedTensorFlow(path, OnnxLoader().load(network, options))

    def specialise(self, loaded: LoadedTensorFlow, shapes: Shapes) -> TensorFlowModel:
        """The network for these shapes. Raises ImportFailed."""
        return TensorFlowModel(loaded.path, OnnxLoader().specialise(loaded.network, shapes))


class TensorFlowModel(ImportedModel):
    """A network in ONNX that TensorFlow answers for."""

    def __init__(self, path: Path, network: OnnxModel) -> None:
        self._path, self._network = path, network
        self.inputs, self.outputs = network.inputs, network.outputs
        self.operators, self.params_bytes, self.rewriting = network.operators, network.params_bytes, network.rewriting

    def relax(self) -> Any:
        """As TVM's importer of ONNX has it."""
        return self._network.relax()

    def write(self, folder: Path, weights: WeightsFile) -> Sequence[str]:
        """The converted network."""
        return self._network.write(folder, weights)

    def expected_outputs(self, folder: Path, feeds: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """TensorFlow's, of the model as it was saved."""
        with tempfile.TemporaryDirectory(prefix="sweep-tensorflow-") as scratch:
            given, found = Path(scratch, "in.npz"), Path(scratch, "out.npz")
            save_arrays(given, dict(feeds))
            _tensorflow("run", self._path, folder / network_file("onnx"), given, found)
            return list(load_arrays(found).values())


def _tensorflow(*words: str | Path) -> None:
    """Run a command in TensorFlow's interpreter. Raises ImportFailed with the last line that it said."""
    other = os.environ.get(PYTHON_VARIABLE)
    if other:  # which has packages of its own
        command, own = [other, "-P", tensorflow_process.__file__], {**os.environ}
        own.pop("PYTHONPATH", None)
    else:
        command, own = python_command(tensorflow_process.__name__), child_environment()
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False, env=own)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ImportFailed(f"tf2onnx cannot {words[0]} {Path(words[1]).name}: {said[:500]}")
