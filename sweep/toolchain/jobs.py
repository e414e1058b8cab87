"""The jobs that run in compile workers: plain functions of JSON-able arguments, which read and write directories.

Each writes into a temporary sibling of its directory and renames it at the end, so that a directory that exists is
whole.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import LowerFailed, in_one_line
from sweep.files.atomic import replacing_folder
from sweep.toolchain.crash_notes import crashes_of
from sweep.toolchain.module_files import read_module, write_module
from sweep.toolchain.tvm_loader import load_tvm, resolve_target, target_json

if TYPE_CHECKING:
    from sweep.toolchain.build_recipes import BuildRecipes

__all__ = [
    "build_artifact",
    "build_candidate",
    "build_layers",
    "build_placed_layers",
    "build_roof_kernels",
    "build_sentinel_kernel",
    "import_model",
    "lower_model",
    "preload",
]

_LOWERING = "lowering.json"


def preload() -> None:
    """Load what the jobs need, so that a child inherits it, and let LLVM compile once."""
    target = resolve_target({"kind": "native"})
    modules = ("onnx", "onnx.reference", "tvm.relax.frontend.onnx", "tvm.relax.transform", "tvm.s_tir.meta_schedule")
    for module in (*modules, "sweep.toolchain.artifacts", "sweep.toolchain.models.onnx_loader"):
        importlib.import_module(module)
    _compile_once(target)


def import_model(options: Mapping[str, Any], hints: Mapping[str, Any], out_dir: str) -> dict[str, Any]:
    """Read a network into a directory with its Relax module, inputs and reference output. Raises ImportFailed."""
    from sweep.toolchain.models.network_import import import_network
    from sweep.toolchain.models.unchanged_files import unless_changed

    with replacing_folder(Path(out_dir)) as folder, unless_changed(hints.get("files") or (), options):
        result = import_network(options, hints, folder)
    return {"dir": _relative(out_dir), **result}


def lower_model(
    options: Mapping[str, Any], import_dir: str, out_dir: str, crashes: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """Lower an imported model by its opt-level recipe and extract its tasks. Raises LowerFailed.

    crashes: how earlier tries of this very job ended, which the compile server tells.
    """
    from sweep.toolchain.layer_names import with_kept_layers
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.mac_types import macs_by_type
    from sweep.toolchain.models.float16_range import beyond_float16
    from sweep.toolchain.task_extraction import extract_tasks

    start = time.perf_counter()
    target = resolve_target(options["target"])
    tvm = load_tvm(())
    with replacing_folder(Path(out_dir)) as folder:  # first of all: an earlier attempt that lives replaces nothing more
        options = with_kept_layers(options, Path(import_dir))
        result = lower(read_module(Path(import_dir)), options, target, crashes_of(crashes))
        lowered = result.module
        beyond = beyond_float16(Path(import_dir)) if _is_float16(options) else None
        write_module(lowered, folder, made_from=Path(import_dir))
        try:
            tasks = extract_tasks(lowered, target, folder / "tasks")
        except Exception as error:
            raise LowerFailed(f"task extraction failed: {in_one_line(error)}") from error
        lowering = {
            "options": dict(options),
            "target_json": target_json(target),
            "tasks": tasks,
            **({} if result.level == int(options["opt_level"]) else {"level": result.level}),
            "import_dir": os.path.relpath(import_dir, out_dir),
        }
        (folder / _LOWERING).write_text(json.dumps(lowering, indent=1), encoding="utf-8")
    return {
        "dir": _relative(out_dir),
        "functions": sum(isinstance(function, tvm.tirx.PrimFunc) for _, function in lowered.functions_items()),
        "tasks": tasks,
        "target_json": target_json(target),
        **({"passes_left_out": [str(each) for each in result.left_out]} if result.left_out else {}),
        "macs_by_type": macs_by_type(lowered),
        **({"layout": result.layout} if result.layout else {}),
        **({"beyond_range": beyond} if beyond else {}),
        "lower_s": time.perf_counter() - start,
    }


def _is_float16(options: Mapping[str, Any]) -> bool:
    return str(options.get("dtype") or options.get("precision")) == "float16"


def build_artifact(
    options: Mapping[str, Any],
    lower_dir: str,
    out_dir: str,
    records_dir: str | None = None,
    linker: str | None = None,
    crashes: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Build a lowered model, with the best of its tuning records if a folder of them is given. Raises BuildFailed.

    linker: links for another architecture than this host's. crashes: how earlier tries of this very job ended, which
    the compile server tells.
    """
    from sweep.toolchain.artifacts import build_library
    from sweep.toolchain.build_recipes import BuildRecipes

    target = resolve_target(options["target"])
    lowering = json.loads((Path(lower_dir) / _LOWERING).read_text(encoding="utf-8"))
    with replacing_folder(Path(out_dir)) as folder:
        records = None if records_dir is None else Path(records_dir)
        recipes = BuildRecipes(Path(lower_dir), lowering, target, crashes_of(crashes))
        result = build_library(recipes, records, folder, linker)
    return {"dir": _relative(out_dir), **result}


def build_candidate(
    target: Mapping[str, Any],
    out_path: str,
    module_json: str | None = None,
    module_path: str | None = None,
    linker: str | None = None,
) -> dict[str, Any]:
    """Compile one scheduled workload, given as JSON or as a file of it, into `out_path`. Returns {artifact_bytes,
    build_s}. `linker` links for another architecture than this host's.
    """
    from sweep.toolchain.artifacts import compile_candidate

    resolved = resolve_target(target, intrinsics=False)  # tensorised already: 1 s saved for another architecture
    text = Path(str(module_path)).read_text(encoding="utf-8") if module_json is None else module_json
    module = load_tvm(()).ir.load_json(text)
    return compile_candidate(module, resolved, Path(out_path), linker)


def build_sentinel_kernel(
    target: Mapping[str, Any], threads: int, out_path: str, linker: str | None = None
) -> dict[str, Any]:
    """Compile the sentinel kernel for a device into `out_path`. Returns {lib, args}. Raises BuildFailed."""
    from sweep.toolchain.sentinel_kernel_build import compile_sentinel_kernel

    library = Path(out_path)
    library.parent.mkdir(parents=True, exist_ok=True)
    args = compile_sentinel_kernel(resolve_target(target, intrinsics=False), threads, library, linker)
    return {"lib": out_path, "args": args}


def build_roof_kernels(
    target: Mapping[str, Any], threads: int, stream_bytes: Sequence[int], out_path: str, linker: str | None = None
) -> dict[str, Any]:
    """Compile what shows the most that a device can do into `out_path`. Returns {lib, kernels}. Raises BuildFailed."""
    from sweep.toolchain.rooflines.roof_kernels import compile_roof_kernels

    library = Path(out_path)
    library.parent.mkdir(parents=True, exist_ok=True)
    resolved = resolve_target(target, intrinsics=False)
    return {"lib": out_path, "kernels": compile_roof_kernels(resolved, threads, stream_bytes, library, linker)}


def build_layers(
    options: Mapping[str, Any],
    lower_dir: str,
    out_path: str,
    records_dir: str | None = None,
    linker: str | None = None,
) -> dict[str, Any]:
    """The layers of a build as a library of functions in `out_path`, and what each asks of a device. Returns {layers}.
    Raises BuildFailed.
    """
    from sweep.toolchain.rooflines.layer_work import layers_of_build

    records = None if records_dir is None else Path(records_dir)
    return {"layers": layers_of_build(_recipes(lower_dir, options), records, Path(out_path), linker)}


def build_placed_layers(
    options: Mapping[str, Any],
    network_dir: str,
    lower_dir: str,
    out_path: str,
    records_dir: str | None = None,
    linker: str | None = None,
) -> dict[str, Any]:
    """As `build_layers`, and which layers of the network of a folder each computes. Returns {layers, places}. Raises
    BuildFailed, CalibrateFailed.
    """
    from sweep.toolchain.rooflines.layer_places import kernel_calls, network_layers, placed_layers
    from sweep.toolchain.rooflines.layer_work import built_again, layers_in

    recipes = _recipes(lower_dir, options)
    built = built_again(recipes, None if records_dir is None else Path(records_dir))
    places = placed_layers(network_layers(Path(network_dir)), kernel_calls(built.module))
    return {"layers": layers_in(built, recipes.target, Path(out_path), linker), "places": places}


def _recipes(lower_dir: str, options: Mapping[str, Any]) -> BuildRecipes:
    from sweep.toolchain.build_recipes import BuildRecipes

    lowering = json.loads((Path(lower_dir) / _LOWERING).read_text(encoding="utf-8"))
    return BuildRecipes(Path(lower_dir), lowering, resolve_target(options["target"]), ())


def _compile_once(target: Any) -> None:
    """The first compilation of a process costs 60 ms more than the next: passes and LLVM's tables are set up."""
    tvm = load_tvm(())
    te = importlib.import_module("tvm.te")
    data = te.placeholder((4,), name="data")
    function = te.create_prim_func([data, te.compute((4,), lambda i: data[i] + 1.0, name="next")])
    with tempfile.TemporaryDirectory() as folder, target:
        library = tvm.compile(tvm.IRModule({"main": function}), target)
        library.mod.write_to_file(f"{folder}/warm.o")


def _relative(out_dir: str) -> str:
    """`artifacts/<kind>/<id>`: results name directories from the sweep directory, which may be moved."""
    return "/".join(Path(out_dir).parts[-3:])
