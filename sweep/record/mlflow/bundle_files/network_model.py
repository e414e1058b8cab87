"""The network of a bundle as an MLflow model: arrays by input name in, arrays by output name out.

MLflow keeps this file with the model and runs it where the model is loaded; with it lies the bundle, whose run.py
does the work. It needs mlflow, numpy and apache-tvm.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import mlflow
from mlflow.pyfunc import PythonModel

# Recorded, and so not shown: that predict has no type hints, where a tensor signature says more
with warnings.catch_warnings(record=True):

    class NetworkModel(PythonModel):
        """A compiled network. Raises run.py's CannotRunError, in a line, where this machine cannot execute it."""

        def load_context(self, context):
            folder = Path(context.artifacts["bundle"])
            found = importlib.util.spec_from_file_location("tvm_sweep_bundle", folder / "run.py")
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            self._network = module.Network(folder)

        def predict(self, context, model_input, params=None):
            manifest = self._network.manifest
            names = [entry["name"] for entry in manifest["inputs"]]
            is_alone = len(names) == 1 and not hasattr(model_input, "keys")
            given = [model_input] if is_alone else [model_input[name] for name in names]
            outputs = self._network.run(*given)
            named = [entry["name"] or f"output_{index}" for index, entry in enumerate(manifest["outputs"])]
            return dict(zip(named, outputs, strict=True))


mlflow.models.set_model(NetworkModel())
