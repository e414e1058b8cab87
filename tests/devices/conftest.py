"""A farm of two local devices for the whole session, and small libraries to measure on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.farm.farm import Farm
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from sweep.study.cluster.cluster import Device
from sweep.toolchain.jobs import build_sentinel_kernel
from tests.devices.parts import ALL_CORES, make_cluster, make_device


@pytest.fixture(scope="session")
def devices() -> dict[str, Device]:
    return {
        "one": make_device("one"),
        "all": make_device("all", ALL_CORES),
        "pair": make_device("pair", ALL_CORES, threads=1),
    }


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory, devices: dict[str, Device]) -> Iterator[Farm]:
    with Farm(make_cluster(*devices.values()), tmp_path_factory.mktemp("farm")) as farm:
        yield farm


@pytest.fixture
def open_session(farm: Farm, devices: dict[str, Device]) -> Iterator[Callable[..., DeviceSession]]:
    opened: list[DeviceSession] = []

    def open_(key: str = "one", **options: Any) -> DeviceSession:
        address = farm.status().address
        assert address is not None
        session = DeviceSession(
            devices[key], address.tracker_host, address.tracker_port, farm.state_dir / "locks", **options
        )
        session.open()
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session.close()


@pytest.fixture
def session(open_session: Callable[..., DeviceSession]) -> DeviceSession:
    return open_session()


@pytest.fixture(scope="session")
def c_candidate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A candidate whose entry function has this body, in C: how to crash or hang without a compiler's help."""
    folder = tmp_path_factory.mktemp("candidates")

    def build(body: str) -> Path:
        source = folder / f"{abs(hash(body))}.c"
        library = source.with_suffix(".so")
        if not library.exists():
            source.write_text(
                f"int __tvm_ffi_main(void *self, const void *args, int count, void *out) {{ {body} return 0; }}"
            )
            subprocess.run(["gcc", "-shared", "-fPIC", "-O0", "-o", str(library), str(source)], check=True)
        return library

    return build


@pytest.fixture(scope="session")
def matmul(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A real candidate: a 64x64 matrix product, and the arguments it takes."""
    import tvm
    from tvm import te

    left, right = (te.placeholder((64, 64), name=name) for name in ("left", "right"))
    axis = te.reduce_axis((0, 64), name="k")
    product = te.compute((64, 64), lambda i, j: te.sum(left[i, axis] * right[axis, j], axis=axis), name="product")
    module = tvm.IRModule({"main": te.create_prim_func([left, right, product])})
    path = tmp_path_factory.mktemp("matmul") / "candidate.so"
    tvm.compile(module, tvm.target.Target({"kind": "llvm"})).export_library(str(path))
    return path, [{"shape": [64, 64], "dtype": "float32"}] * 3


@pytest.fixture(scope="session")
def parallel_add(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A candidate that starts the runtime's pool of threads."""
    import tvm
    from tvm import te

    value = te.placeholder((1024,), name="value")
    added = te.compute((1024,), lambda i: value[i] + 1.0, name="added")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([value, added]))
    (loop,) = schedule.get_loops("added")
    schedule.parallel(schedule.split(loop, [8, None])[0])
    path = tmp_path_factory.mktemp("parallel") / "candidate.so"
    tvm.compile(schedule.mod, tvm.target.Target({"kind": "llvm"})).export_library(str(path))
    return path, [{"shape": [1024], "dtype": "float32"}] * 2


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> SentinelKernel:
    """The sentinel kernel for one thread."""
    made = build_sentinel_kernel({"kind": "llvm"}, 1, str(tmp_path_factory.mktemp("kernel") / "kernel.so"))
    return SentinelKernel(Path(made["lib"]), made["args"])


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small imported and built network: its artifact directory and its import directory."""
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    artifact_dir, import_dir = (tmp_path_factory.mktemp(name) for name in ("build", "import"))
    model = _two_layers()
    (import_dir / "model.onnx").write_bytes(model.SerializeToString())
    feeds = {"x/0": np.random.default_rng(0).standard_normal((4, 32)).astype("float32")}
    np.savez(import_dir / "inputs.npz", **feeds)
    np.savez(import_dir / "reference.npz", output_0=_run(model, feeds))
    module = relax.get_pipeline("zero")(from_onnx(model, keep_params_in_input=False))
    relax.build(module, tvm.target.Target({"kind": "llvm"})).export_library(str(artifact_dir / "lib.so"))
    inputs = [{"name": "x_0", "shape": [4, 32], "dtype": "float32"}]
    (artifact_dir / "metadata.json").write_text(json.dumps({"inputs": inputs}))
    return artifact_dir, import_dir


def _two_layers() -> Any:
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(1)
    weights = [numpy_helper.from_array(generator.standard_normal((32, 32)).astype("float32"), n) for n in ("a", "b")]
    nodes = [
        helper.make_node("MatMul", ["x/0", "a"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "b"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 32]) for name in ("x/0", "y"))
    graph = helper.make_graph(nodes, "two_layers", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(model: Any, feeds: dict[str, Any]) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)[0]
