"""The network that both tuners get: one file, one set of inputs, one reference output, one target.

Weights are the seeded random ones of a sweep, since constant ones hide wrong answers. Nothing else about the graph is
changed for MetaSchedule as shipped: no dropout is taken out, no constant folded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster
from sweep.study.model_file import read_model
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["CLUSTER", "DEVICE", "Network", "device_core", "prepare", "prepare_in_forge"]

CLUSTER = Path(__file__).resolve().parents[2] / "clusters" / "local.yaml"
DEVICE = "local-native"
SEED = 0


@dataclass(frozen=True, slots=True)
class Network:
    """Where the common files lie."""

    source: str
    onnx: Path
    """The network as it is shipped, with random weights: what a user of plain TVM would have."""
    import_dir: Path
    """The same as a sweep imports it: model.onnx, inputs.npz, reference.npz."""
    target: Mapping[str, Any]
    """Full target, as a dict that plain TVM takes."""


def device_core(cluster: Cluster) -> int:
    """The core that the benchmark's device measures on."""
    return next(device.cores[0] for device in cluster.devices if device.key == DEVICE)


def prepare(source: str, folder: Path) -> Network:
    """Write the common files into `folder`, unless they are there. Raises ImportFailed."""
    written = folder / "target.json"
    onnx, import_dir = folder / "network.onnx", folder / "import"
    if not written.is_file():
        device = next(device for device in load_cluster(CLUSTER).devices if device.key == DEVICE)
        attrs = {**device.target, "num-cores": device.threads}
        model = read_model(source, CLUSTER, "network")
        arguments = {"path": str(model.path), "source": source, "attrs": attrs, "folder": str(folder.absolute())}
        with CompilePool() as forge:
            made: Future[dict[str, Any]] = forge.submit(
                CompileJob("benchmarks.tuning.network:prepare_in_forge", limit_s=600), arguments
            )
            written.write_text(json.dumps(made.result()["target"]), encoding="utf-8")
    return Network(source, onnx, import_dir, json.loads(written.read_text(encoding="utf-8")))


def prepare_in_forge(path: str, source: str, attrs: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The part of `prepare` that needs TVM and onnx; runs in a child of the forge."""
    import numpy as np
    import onnx

    from sweep.toolchain.jobs import import_model
    from sweep.toolchain.models import onnx_shapes, onnx_weights
    from sweep.toolchain.tvm_loader import resolve_target, target_json

    import_dir = Path(folder) / "import"
    options = {"inputs": {}, "batch": 1, "seed": SEED, "weights": "random"}
    import_model(options, {"path": path, "name": "network", "source": source}, str(import_dir))
    model = onnx.load(path)
    onnx_shapes.fix_shapes(model, {}, 1)
    onnx_weights.seed_weights(model, SEED)
    model.ir_version = max(model.ir_version, 8)  # before 4, each initialiser had to be an input too
    with np.load(import_dir / "inputs.npz") as stored:
        onnx_weights.calibrate_outputs(model, {name: stored[name] for name in stored.files})
    onnx.save_model(model, str(Path(folder) / "network.onnx"))
    return {"target": json.loads(target_json(resolve_target(dict(attrs), intrinsics=False)))}
