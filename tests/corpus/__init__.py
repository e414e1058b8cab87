"""Small networks of the kinds that people have: each must be right at every opt level, or refused by name.

    python -m tests.corpus                    # all of them, at levels 0 to 4
    python -m tests.corpus max_of_two --levels 3 --precision float16
    python -m tests.corpus path/to/net.onnx   # a file, or a folder of them

Each goes through the product's own import, lowering, build and loading, in the killable children of one compile server,
and its outputs are compared in value, shape and dtype with ONNX Runtime's (else onnx's reference evaluator's) for the
file as it is.
"""
