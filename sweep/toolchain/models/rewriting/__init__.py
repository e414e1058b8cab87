"""The rewriting of ONNX networks into operators that TVM's importer knows, with every shape fixed and every constant
folded.
"""
