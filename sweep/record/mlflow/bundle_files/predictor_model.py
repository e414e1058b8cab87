"""A predictor as an MLflow model: a table of networks in, predicted values with their intervals out.

MLflow keeps this file with the model and runs it where the model is loaded; with it lies the predictor's file. It
needs tvm-sweep.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

from sweep.predict.layer_geometry import stack_layers
from sweep.predict.saved_predictor import load_predictor

# Recorded, and so not shown: that predict has no type hints, where the signature says more
with warnings.catch_warnings(record=True):

    class PredictorModel(PythonModel):
        """Tells for each row, a network by its layers and a batch, what it takes."""

        def load_context(self, context):
            self._predictor, _ = load_predictor(Path(context.artifacts["predictor"]))

        def predict(self, context, model_input, params=None):
            rows = zip(model_input["layers"], model_input["batch"], strict=True)
            asked = [(stack_layers(json.loads(layers)), float(batch)) for layers, batch in rows]
            found = self._predictor.predict(asked)
            columns = {name: getattr(found, name) for name in ("value", "low", "high", "abstains")}
            return pd.DataFrame(columns)


mlflow.models.set_model(PredictorModel())
