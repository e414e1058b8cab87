"""What a newcomer does, from the wheel to the thing one ships: `make front-door`, or python tools/front_door.py.

A wheel of this repository in a clean environment; in an empty folder a small network, made by onnx.helper; `sweep
init`, `sweep run`, `sweep export`. Then a second clean environment that has apache-tvm, its FFI and numpy alone, in
which the bundle runs in Python, and in C++ against the runtime of that wheel. Each must give the output that the
reference gave, both the same numbers, and a latency within the interval that the manifest has for a new process. A
machine with other work is slower than its interval: that is said and ends in 0, since it is no fault of the bundle.

Takes ten minutes on a quiet machine, most of them pip's; --keep FOLDER keeps environments and sweep for another look.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NETWORK = """
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
rng = np.random.default_rng(0)
weights = {"w1": (16, 3, 3, 3), "w2": (32, 16, 3, 3), "w3": (10, 32)}
made = {name: rng.normal(0, 0.1, shape).astype("float32") for name, shape in weights.items()}
nodes = [
    helper.make_node("Conv", ["image", "w1"], ["a"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["a"], ["b"]),
    helper.make_node("Conv", ["b", "w2"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
    helper.make_node("Relu", ["c"], ["d"]),
    helper.make_node("GlobalAveragePool", ["d"], ["e"]), helper.make_node("Flatten", ["e"], ["f"]),
    helper.make_node("Gemm", ["f", "w3"], ["classes"], transB=1),
]
info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
graph = helper.make_graph(nodes, "small", [info("image", [1, 3, 32, 32])], [info("classes", [1, 10])],
                          [numpy_helper.from_array(array, name) for name, array in made.items()])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, "small.onnx")
"""


class Failed(Exception):
    """A step did not do what it says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk through the door; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work there and keep it; else a temporary folder")
    parser.add_argument("--wheel", type=Path, help="by default it is built from this repository")
    parser.add_argument("--constraints", type=Path, help="for pip; by default none, as a newcomer has none")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    folder = (asked.keep or Path(tempfile.mkdtemp(prefix="front-door-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        wheel = asked.wheel.absolute() if asked.wheel else built_wheel(folder)
        constraints = ["-c", str(asked.constraints.absolute())] if asked.constraints else []
        bundle = swept(folder, wheel, constraints)
        shipped(folder, bundle, constraints)
    except Failed as error:
        print(f"front door: {error}", file=sys.stderr)
        return 1
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"front door: open, {time.monotonic() - began:.0f} s; load {os.getloadavg()[0]:.1f}")
    return 0


def built_wheel(folder: Path) -> Path:
    """The wheel of this repository; setuptools comes from where this runs, as in the Makefile."""
    out = folder / "dist"
    call([sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "-q", "-w", out], folder)
    return next(out.glob("tvm_sweep-*.whl"))


def swept(folder: Path, wheel: Path, constraints: Sequence[str]) -> Path:
    """The bundle that a newcomer exports, from a clean environment and an empty folder."""
    python = environment(folder / "first", [str(wheel)], constraints)
    place = folder / "empty"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    call([python, "-c", NETWORK], place)
    sweep = python.with_name("sweep")
    call([sweep, "init", "small.onnx"], place)
    began_t = time.time()
    call([sweep, "run", "study.yaml", "--out", "first-sweep"], place, limit_s=1800)
    print(f"first measured row {first_row_t(place / 'first-sweep') - began_t:.1f} s after the command", flush=True)
    try:
        call([sweep, "export", "first-sweep", "--out", "shipped"], place)
    except Failed as error:  # other work on this machine has disturbed every cell, or left open which is fastest
        print(f"{str(error).splitlines()[-1]}\nso a cell is named; load {os.getloadavg()[0]:.1f}", flush=True)
        call([sweep, "export", "first-sweep", "xgb O3", "--out", "shipped"], place)
    return place / "shipped"


def first_row_t(sweep_dir: Path) -> float:
    """When the first cell was measured, by the ledger."""
    events = map(json.loads, (sweep_dir / "ledger.jsonl").read_text(encoding="utf-8").splitlines())
    return min(one["t"] for one in events if one["event"] == "stage_done" and one["kind"] == "measure")


def shipped(folder: Path, bundle: Path, constraints: Sequence[str]) -> None:
    """Run the bundle where nothing of this package is, in Python and in C++."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    needed = [f"{name}=={manifest['versions'][name]}" for name in ("apache-tvm", "apache-tvm-ffi")]
    python = environment(folder / "second", [*needed, "numpy"], constraints)
    there = Path(shutil.copytree(bundle, folder / "elsewhere", dirs_exist_ok=True))
    in_python = call([python, "run.py"], there)
    program = compiled(there, python, folder / "program")
    in_cpp = call([program, there], there)
    for language, said in (("Python", in_python), ("C++", in_cpp)):
        if "output agrees, " not in said:
            raise Failed(f"{language} says that the output does not agree")
    if numbers(in_python) != numbers(in_cpp):
        raise Failed(f"Python prints {numbers(in_python)}, C++ {numbers(in_cpp)}")
    print(f"the output agrees with the reference in Python and in C++, and both print {' '.join(numbers(in_cpp))}")
    # Of the median of all processes, which is narrower, one more process knows nothing
    told = manifest["latency"]["new_process"]
    if told is None:
        print("no interval of new processes: its measurement was disturbed, or of one process alone", flush=True)
        return
    low, high = told["low_ms"], told["high_ms"]
    for language, said in (("Python", in_python), ("C++", in_cpp)):
        print(f"{language}: {verdict(latency_ms(said), low, high)}")


def verdict(latency: float, low: float, high: float) -> str:
    """How a latency stands to the interval of new processes, all in milliseconds."""
    interval = f"{latency:.4g} ms, measured {low:.4g} to {high:.4g} ms"
    if low <= latency <= high:
        return f"within the interval: {interval}"
    way = "slower" if latency > high else "faster"
    return f"NOT within the interval, {way}: {interval}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def latency_ms(said: str) -> float:
    """Of what both programs print last."""
    found = re.search(r"^output agrees, ([\d.e+-]+) ms", said, re.MULTILINE)
    if found is None:
        raise Failed(f"no latency in {said!r}")
    return float(found[1])


def numbers(said: str) -> list[str]:
    """The first values of output 0."""
    found = re.search(r"^output 0[^:]*:(.*)$", said, re.MULTILINE)
    if found is None:
        raise Failed(f"no output 0 in {said!r}")
    return found[1].rpartition(": ")[2].removesuffix(" ...").split()


def compiled(bundle: Path, python: Path, out: Path) -> Path:
    """The program of `main.cc`: by the bundle's CMake file, or by g++ with the same options where there is no cmake."""
    out.mkdir(exist_ok=True)
    if shutil.which("cmake"):
        call(["cmake", "-S", bundle, "-B", out, f"-DPython_EXECUTABLE={python}"], bundle)
        call(["cmake", "--build", out], bundle)
        return out / "main"
    site = Path(call([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], bundle).strip())
    tvm, ffi = site / "tvm", site / "tvm_ffi"
    includes = [f"-I{ffi}/include", f"-I{ffi}/3rdparty/dlpack/include"]
    libraries = [word for lib in (tvm / "lib", ffi / "lib") for word in (f"-L{lib}", f"-Wl,-rpath,{lib}")]
    runtime = ["-Wl,--no-as-needed", "-ltvm_runtime", "-ltvm_ffi"]
    call(["g++", "-std=c++17", "-O2", *includes, bundle / "main.cc", *libraries, *runtime, "-o", out / "main"], bundle)
    return out / "main"


def environment(folder: Path, packages: Sequence[str], constraints: Sequence[str]) -> Path:
    """The Python of a new environment with these packages and what they ask for."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    call([python, "-m", "pip", "install", "-q", *constraints, *packages], folder, limit_s=3600)
    return python


def call(command: Sequence[object], place: Path, limit_s: float = 600) -> str:
    """What a command prints; it is shown with its time. Raises Failed with all that it said when it fails."""
    words = [str(word) for word in command]
    shown = shlex.join(words if "\n" not in words[-1] else [*words[:-1], "..."])
    print(f"$ {shown.replace(str(place.parent) + '/', '')}", flush=True)
    began = time.monotonic()
    asked = {"cwd": place, "env": clean(os.environ), "timeout": limit_s}
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, **asked)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{shown} did not end within {limit_s:.0f} s") from error
    if done.returncode:
        raise Failed(f"{shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    print(f"{done.stdout.rstrip()}\n[{time.monotonic() - began:.1f} s]", flush=True)
    return done.stdout


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """Without what would let an environment see this repository or another Python's packages."""
    return {name: value for name, value in variables.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}


if __name__ == "__main__":
    sys.exit(main())
