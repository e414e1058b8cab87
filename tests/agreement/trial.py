"""Runs in a process of its own: a quantised network compiled here, beside its own runtime, over samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sweep
from sweep.datasets.preprocessing import NetworkInput
from sweep.datasets.reading import Wanted, read_samples
from sweep.files.npz import load_arrays
from sweep.study.importers.importer_registry import importer_named
from sweep.toolchain.jobs import build_artifact, import_model, lower_model
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.loader import TensorType
from tests.agreement.steps import Agreement, agreement, output_steps
from tests.corpus.compared import run_artifact
from tests.corpus.trial import TARGET
from tests.packaged.own_runtime import OWN_RUNTIMES

__all__ = ["agrees", "write_quantised_digits"]

DIGITS = {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0, "preprocess": {"divide": 16}}


def agrees(path: Path, folder: Path, samples: int, level: int, *, is_digits: bool) -> Agreement:
    """Of a file. folder: for what is made. Raises SweepError where it is not compiled."""
    from sweep.devices.runtimes.artifact import load_artifact

    model = sweep.load_study({"study": "agreement", "models": [{"path": str(path.absolute())}]}).models[0]
    imported, lowered, built = (folder / "artifacts" / kind / "it" for kind in ("import", "lower", "build"))
    hints = {"path": str(path), "loader": importer_named(model.importer).loader}
    options = {"inputs": {}, "batch": None, "seed": 0, **model.options}
    about = import_model(options, hints, str(imported))
    lowering = {"opt_level": level, "layout": "NCHW", "precision": "float32", "target": TARGET}
    lower_model({**lowering, "execution": "integer"}, str(imported), str(lowered))
    build_artifact({"target": TARGET}, str(lowered), str(built))
    artifact = load_artifact(built, imported)
    feeds = _digits(about["inputs"], samples) if is_digits else _made_up(about["inputs"], imported, samples)
    found = [run_artifact(artifact, one) for one in feeds]
    own = _in_integers(path) if path.suffix == ".onnx" else lambda one: OWN_RUNTIMES[path.suffix](str(path), one)
    wanted = [[np.asarray(each) for each in own(one)] for one in feeds]
    return agreement(found, wanted, output_steps(path))


def _in_integers(path: Path) -> Callable[[list[Any]], list[Any]]:
    """ONNX Runtime's integer kernels: without VNNI their sums of uint8 by int8 are cut off at 16 bits, unless they are
    asked not to.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))


def _digits(inputs: dict[str, Any], samples: int) -> list[list[Any]]:
    ((_, about),) = inputs.items()
    network = NetworkInput(about["shape"], about["dtype"], about.get("scale"), int(about.get("zero_point", 0)))
    read = read_samples(DIGITS, {}, Wanted("test", samples), network)
    return [[one[None]] for one in read.inputs]


def _made_up(inputs: dict[str, Any], imported: Path, samples: int) -> list[list[Any]]:
    first = load_arrays(imported / "inputs.npz")
    types = [TensorType(name, tuple(about["shape"]), about["dtype"]) for name, about in inputs.items()]
    drawn = [make_inputs(types, seed) for seed in range(1, samples)]
    return [list(one.values()) for one in (first, *drawn)]


def write_quantised_digits(network: Path, path: Path, strategy: str) -> Path:
    """The float network as a QDQ file, calibrated on samples that it is not judged by."""
    import onnx

    from sweep.toolchain.quantisation.calibration_samples import DatasetSamples
    from sweep.toolchain.quantisation.prepared_network import prepared
    from sweep.toolchain.quantisation.qdq_network import quantised
    from sweep.toolchain.quantisation.range_table import observe

    model = prepared(network)
    seen = DatasetSamples(model, {"dataset": DIGITS, "samples": 128, "seed": 0}, {})
    options = {"strategy": strategy, "per": "channel", "calibrate": "minmax"}
    onnx.save(quantised(model, observe(model, seen, seen.samples, "digits", seen.repeated), options).model, str(path))
    return path
