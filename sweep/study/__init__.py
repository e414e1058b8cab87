"""What a person asks for: study files and cluster files, read through one gate into frozen data.

Pure: knows neither TVM nor Ray nor MLflow, and imports neither numpy nor onnx, so that a plan is answered at once.
"""
