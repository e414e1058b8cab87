"""Networks of ai.onnx.ml: trees, linear models, scalers and encoders."""
