"""One forge and one imported SqueezeNet for the whole session: loading TVM is the expensive part of these tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.planning.kinds import STAGE_KINDS
from sweep.toolchain.compile_job import BUILD_CANDIDATE, BUILD_SENTINEL_KERNEL, CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.toolchain.quick_builds import quick

TARGET = {"kind": "llvm", "native": "here", "num-cores": 1}
QUICK = quick(TARGET)
JOBS = "tests.toolchain.forge_jobs"

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def forge() -> Iterator[CompilePool]:
    with CompilePool(slots=2) as forge:
        yield forge


@pytest.fixture(scope="session")
def run(forge: CompilePool) -> Run:
    """Run a job and wait: a name of `sweep.toolchain.jobs`, or `:name` of forge_jobs."""

    def submit(job: str | CompileJob, timeout_s: float = 240, **kwargs: Any) -> dict[str, Any]:
        return forge.submit((_job(job) if isinstance(job, str) else job).within(timeout_s), kwargs).result()

    return submit


def _job(name: str) -> CompileJob:
    if name.startswith(":"):
        return CompileJob(f"{JOBS}{name}")
    function = f"sweep.toolchain.jobs:{name}"
    known = [BUILD_CANDIDATE, BUILD_SENTINEL_KERNEL, *(CompileJob(kind.job, kind.error_class) for kind in STAGE_KINDS)]
    return next(job for job in known if job.function == function)


def light_model(name: str) -> Path:
    import onnx

    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"


def import_light(run: Run, name: str, out_dir: Path, batch: int | None = None) -> dict[str, Any]:
    return import_file(run, light_model(name), out_dir, batch, weights="random")


def import_file(run: Run, path: Path, out_dir: Path, batch: int | None = None, **more: str) -> dict[str, Any]:
    options = {"inputs": {}, "batch": batch, "seed": 0, **more}
    return run("import_model", options=options, hints={"path": str(path)}, out_dir=str(out_dir))


def lower(run: Run, import_dir: Path, out_dir: Path, level: int, **axes: Any) -> dict[str, Any]:
    options = {"opt_level": level, "layout": "NCHW", "precision": "float32", "target": TARGET, **axes}
    return run("lower_model", options=options, import_dir=str(import_dir), out_dir=str(out_dir))


def build(
    run: Run, lower_dir: Path, out_dir: Path, records_dir: Path | None = None, target: dict[str, Any] = TARGET
) -> dict[str, Any]:
    records = None if records_dir is None else str(records_dir)
    return run(
        "build_artifact",
        options={"target": target},
        lower_dir=str(lower_dir),
        records_dir=records,
        out_dir=str(out_dir),
    )


@pytest.fixture(scope="session")
def squeezenet(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("squeezenet") / "artifacts" / "import" / "0123"
    return folder, import_light(run, "squeezenet", folder)


def write_small_network(path: Path) -> None:
    """Two convolutions with a batch norm, a matrix product and a softmax; every kernel compiles in a moment."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(3)
    shapes = {"w1": (16, 8, 3, 3), "w2": (32, 16, 1, 1), "w3": (32, 10), "g": (16,), "b": (16,), "m": (16,)}
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    weights["v"] = generator.uniform(0.5, 1.5, 16).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", "g", "b", "m", "v"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"]),
        helper.make_node("GlobalAveragePool", ["c2"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w3"], ["z"]),
        helper.make_node("Softmax", ["z"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 12, 12])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])]
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.fixture(scope="session")
def small(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported network that takes next to no time."""
    folder = tmp_path_factory.mktemp("small")
    write_small_network(folder / "small.onnx")
    import_file(run, folder / "small.onnx", folder / "import")
    return folder / "import"


@pytest.fixture(scope="session")
def lowered(
    run: Run, squeezenet: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, tuple[Path, dict[str, Any]]]:
    """SqueezeNet at every level, each when it is first asked for."""
    root = tmp_path_factory.mktemp("lowered")

    class Levels(dict[int, tuple[Path, dict[str, Any]]]):
        def __missing__(self, level: int) -> tuple[Path, dict[str, Any]]:
            self[level] = root / str(level), lower(run, squeezenet[0], root / str(level), level)
            return self[level]

    return Levels()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
