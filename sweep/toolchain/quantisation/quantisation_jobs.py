"""The jobs of the stages `calibrate` and `quantise`, which run in compile workers."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, QuantiseFailed
from sweep.files.atomic import replacing_folder
from sweep.files.npz import load_arrays, save_arrays
from sweep.files.sweep_dir import OUTPUTS_FILE, network_file
from sweep.study.calibration_table import HISTOGRAMS
from sweep.toolchain.quantisation.calibration_samples import samples_for
from sweep.toolchain.quantisation.prepared_network import prepared
from sweep.toolchain.quantisation.qdq_network import HEAVY, quantised
from sweep.toolchain.quantisation.range_table import NETWORK, observe, read_table, write_table
from sweep.toolchain.quantisation.saved_table import take_saved_table

__all__ = ["PARAMETERS", "calibrate_network", "quantise_network"]

PARAMETERS = "parameters.json"
ROUNDED_REFERENCE = "quantised_reference.npz"
"""What the quantised network itself answers in ONNX Runtime, in floats between rounding."""
_NETWORK = network_file("onnx")


def calibrate_network(
    options: Mapping[str, Any], hints: Mapping[str, Any], import_dir: str, out_dir: str
) -> dict[str, Any]:
    """Observe the ranges of all tensors of an imported network on samples, or read them where they are saved.

    Raises CalibrateFailed.
    """
    start = time.perf_counter()
    saved, told = str(options.get("table", "")), {}
    with replacing_folder(Path(out_dir)) as folder:
        model = prepared(Path(import_dir) / _NETWORK)
        if saved:
            table = take_saved_table(Path(hints["table"]), saved, model, folder)
            told = {"saved_table": saved, "has_histograms": (folder / HISTOGRAMS).is_file()}
        else:
            samples = samples_for(model, options, hints)
            table = observe(model, samples, samples.samples, samples.source, samples.repeated)
            write_table(table, model, folder, hints.get("network"))
    return {
        "dir": _relative(out_dir),
        **told,
        "samples": table.samples,
        "source": table.source,
        "activations": len(table.activations),
        "weights": len(table.weights),
        "calibrate_s": time.perf_counter() - start,
    }


def quantise_network(
    options: Mapping[str, Any],
    import_dir: str,
    import_result: Mapping[str, Any],
    calibrate_dir: str,
    out_dir: str,
    saved_table: str = "",
) -> dict[str, Any]:
    """Write an imported network in QDQ form, in a folder like an import's. saved_table: the hash of a table that its
    calibration has read. Raises QuantiseFailed.
    """
    import onnx

    from sweep.toolchain.models.expected_output import run_onnxruntime
    from sweep.toolchain.models.loader import Shapes
    from sweep.toolchain.models.onnx_loader import OnnxLoader
    from sweep.toolchain.module_files import write_module
    from sweep.toolchain.weights_file import WeightsFile, link_or_copy

    start = time.perf_counter()
    origin, table_dir = Path(import_dir), Path(calibrate_dir)
    with replacing_folder(Path(out_dir)) as folder:
        table = read_table(table_dir)
        network = onnx.load(str(table_dir / NETWORK))
        made = quantised(network, table, options)
        onnx.save(made.model, str(folder / _NETWORK))
        for name in ("inputs.npz", "reference.npz", OUTPUTS_FILE):
            if (origin / name).exists():
                link_or_copy(origin / name, folder / name)
        outputs = run_onnxruntime(folder / _NETWORK, load_arrays(folder / "inputs.npz"))
        save_arrays(folder / ROUNDED_REFERENCE, {f"output_{index}": one for index, one in enumerate(outputs)})
        try:
            loader = OnnxLoader()
            model = loader.specialise(loader.load(folder / _NETWORK, {}), Shapes({}, None, 0))
        except ImportFailed as error:
            raise QuantiseFailed(str(error)) from error
        write_module(model.relax(), folder, WeightsFile())
        about = {
            "options": dict(options),
            "samples": table.samples,
            "source": table.source,
            "quantised_nodes": list(made.quantised_nodes),
            "float_nodes": list(made.float_nodes),
            "tensors": made.parameters,
        }
        (folder / PARAMETERS).write_text(json.dumps(about, indent=1), encoding="utf-8")
    return {
        **{key: value for key, value in import_result.items() if key in _KEPT},
        "dir": _relative(out_dir),
        "formats": ["onnx"],
        "operators": dict(model.operators),
        "params_bytes": model.params_bytes,
        "samples": table.samples,
        "source": table.source,
        "quantised_nodes": len(made.quantised_nodes),
        "float_nodes": len(made.float_nodes),
        "saved_table": saved_table,
        **({"kept_layers": kept} if (kept := _with_weights(network, made.float_nodes)) else {}),
        "quantise_s": time.perf_counter() - start,
    }


_KEPT = ("inputs", "outputs", "reference", "reference_error")
"""Of the result of the import: what is asked of the network and what it should answer are the same."""


def _with_weights(model: Any, names: Collection[str]) -> list[str]:
    return [str(node.name) for node in model.graph.node if node.name in names and node.op_type in HEAVY]


def _relative(out_dir: str) -> str:
    return "/".join(Path(out_dir).parts[-3:])
