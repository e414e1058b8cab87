"""From a model of TensorFlow to ONNX, in a process of its own: nothing here imports TensorFlow but that."""
