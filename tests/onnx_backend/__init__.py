"""The onnx package's own tests, through the product's import, lowering and build, against the data recorded with them.

    python -m tests.onnx_backend                          # all node tests, at level 0
    python -m tests.onnx_backend --every 20               # each twentieth
    python -m tests.onnx_backend --set pytorch-converted --levels 0,3
    python -m tests.onnx_backend 'test_resize_*' --say all

A test is right where every output of every recorded data set has the recorded shape and type and its values: integers
and booleans exactly, NaN as NaN, an infinity as the same one, floats within the test's own tolerances. Everything else
is wrong, refused (one line of the error tree), unclear (refused, in the words of an internal error) or crashed. Each
job runs in a child of the compile server, with limits of time and memory, so a crash costs one test.

Node tests feed all they have as inputs, shapes too, which compiled code must know. `--inputs shapes` (the default)
stores those in the network that decide shapes by ONNX's definition of their operator, as exporters do; `all` feeds all;
`first` stores all but the first.
"""
