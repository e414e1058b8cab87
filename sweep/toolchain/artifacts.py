"""Builds shared libraries: a lowered module with its best tuning records, or, quickly, one candidate."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sweep.errors import BuildFailed, WorkerKilled, in_one_line, killed_by
from sweep.files.atomic import replacing
from sweep.toolchain.best_records import BestRecords
from sweep.toolchain.build_recipes import Buildable, BuildRecipes
from sweep.toolchain.compiled_functions import CompiledNetwork, compile_function, compile_network
from sweep.toolchain.crash_notes import note
from sweep.toolchain.pass_runs import LeftOut
from sweep.toolchain.tvm_loader import load_tvm, target_json

__all__ = ["LIBRARY", "METADATA", "build_library", "compile_candidate", "compile_kernels"]

LIBRARY, METADATA = "lib.so", "metadata.json"

_LINK_HOST = ("-shared", "-fPIC", "-nostdlib")
"""A kernel needs no start files and no C++ library: not looking for them halves the time of the link (30 ms to 15
ms)."""

_PART_KILLED = re.compile(r"terminated with signal 9|Killed signal terminated|command: Killed")
"""How gcc's and clang's drivers say that a program which they had started was killed."""


def build_library(
    recipes: BuildRecipes, records_dir: Path | None, folder: Path, linker: str | None = None
) -> dict[str, Any]:
    """Write lib.so and metadata.json into `folder`; return the build result but for its directory.

    records_dir: a native MetaSchedule database; the record with the least median of each workload is applied, and a
    workload with none keeps its untuned schedule. linker: for a target of another architecture than this host's.
    Raises BuildFailed, and WorkerKilled where the linker was killed.
    """
    tvm = load_tvm(())
    start = time.perf_counter()
    target = recipes.target
    with tempfile.TemporaryDirectory(prefix="records-") as scratch:
        best = BestRecords(records_dir, Path(scratch))
        built, network = _built(recipes, best, Path(scratch))
        tuned = {task["workload"] for task in built.tasks if best.has(task["workload"])}
        objects = [str(path) for path in network.objects]
        try:
            linking = _linking(target, linker, [f"-Wl,--defsym,{name}={of}" for name, of in network.aliases.items()])
            network.executable.export_library(str(folder / LIBRARY), addons=objects, fcompile=linking)
        except WorkerKilled:
            raise
        except Exception as error:
            raise BuildFailed(in_one_line(error)) from error
    library = folder / LIBRARY
    result = {
        "lib": LIBRARY,
        "artifact_bytes": library.stat().st_size,
        "build_s": time.perf_counter() - start,
        "tuned_tasks": len(tuned),
        "untuned_tasks": len(built.tasks) - len(tuned),
        "target_json": target_json(target),
        "tvm_version": str(tvm.__version__),
        "functions": network.functions,
        "reused_functions": network.reused,
        **({"passes_left_out": [str(each) for each in built.left_out]} if built.left_out else {}),
    }
    names = {task["workload"]: task["name"] for task in built.tasks}
    metadata = {
        **result,
        **_signature(built.lowered),
        "lowering": recipes.options,
        "tuned": sorted(name for workload, name in names.items() if workload in tuned),
        "untuned": sorted(name for workload, name in names.items() if workload not in tuned),
        "lib_sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=1), encoding="utf-8")
    return result


def _built(recipes: BuildRecipes, best: BestRecords, scratch: Path) -> tuple[Buildable, CompiledNetwork]:
    """The first module of the recipes that can be built, compiled. Raises BuildFailed."""
    tvm = load_tvm(())
    crashed = {crash.at: crash.how for crash in recipes.crashes}
    first: tuple[LeftOut, Exception | None] | None = None
    for one in recipes.tries():
        if one.at in crashed:
            first = first or (LeftOut(one.at, f"the compiler {crashed[one.at]}"), None)
            continue
        module = recipes.read(one)
        try:
            buildable = recipes.make(one, module, best, first and first[0], scratch)
            note(one.at)
            with tvm.transform.PassContext(opt_level=3):
                return buildable, compile_network(buildable.module, recipes.target, scratch)
        except (MemoryError, OSError):
            raise  # says nothing of the network
        except Exception as error:  # noqa: BLE001  (whatever TVM raises is a refusal)
            first = first or (LeftOut.because(one.at, error), error)
    assert first is not None
    why, cause = first
    raise BuildFailed(why.reason if cause is None else in_one_line(cause)) from cause


def compile_candidate(module: Any, target: Any, out_path: Path, linker: str | None = None) -> dict[str, Any]:
    """Compile one scheduled workload, `main`, into a shared library. Returns {artifact_bytes, build_s}. Raises
    BuildFailed.
    """

    def make(library: Path, scheduled: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="candidate-") as scratch:
            compiled = Path(scratch) / "candidate.o"
            compile_function(scheduled, target, compiled)
            _linking(target, linker)(str(library), [str(compiled)])

    return _compiled(module, target, out_path, make)


def compile_kernels(module: Any, target: Any, out_path: Path, linker: str | None = None) -> dict[str, Any]:
    """Compile scheduled functions, each called by its own name, into a shared library, as `compile_candidate` does."""

    def make(library: Path, scheduled: Any) -> None:
        load_tvm(()).compile(scheduled, target).export_library(str(library), fcompile=_linking(target, linker))

    return _compiled(module, target, out_path, make)


def _compiled(module: Any, target: Any, out_path: Path, make: Callable[[Path, Any], None]) -> dict[str, Any]:
    """What the two above give. make: writes a library of functions whose weights lie as they want them."""
    remove_rewrite = importlib.import_module("tvm.s_tir.transform").RemoveWeightLayoutRewriteBlock
    start = time.perf_counter()
    try:
        context = load_tvm(()).transform.PassContext(opt_level=3)
        with replacing(out_path, suffix=".so") as partial, target, context:  # the suffix tells TVM what to write
            make(partial, remove_rewrite(skip_tensor_rewrite=True)(module))
    except WorkerKilled:
        raise
    except Exception as error:
        raise BuildFailed(in_one_line(error)) from error
    return {"artifact_bytes": out_path.stat().st_size, "build_s": time.perf_counter() - start}


def _linking(target: Any, linker: str | None, options: Sequence[str] = ()) -> Any:
    """A link function for this target, with `linker` where it is foreign. options: for the linker's driver."""
    triple = str(target.attrs.get("mtriple", "") or "")
    if triple and triple.split("-")[0] != os.uname().machine:
        return _fcompile((linker or _cross_linker(triple), "-shared", "-fPIC", *options))
    compiler = importlib.import_module("tvm.support.cc").get_cc()
    if compiler is None:
        raise BuildFailed("no C compiler to link with: install gcc or clang")
    return _fcompile((compiler, *_LINK_HOST, *options), ("-lm", "-lgcc"))


def _cross_linker(triple: str) -> str:
    from shutil import which

    parts = triple.split("-")
    short = f"{parts[0]}-linux-gnu{'eabihf' if parts[-1].endswith('eabihf') else ''}"
    names = [f"{prefix}-{tool}" for prefix in dict.fromkeys((triple, short)) for tool in ("g++", "gcc")]
    names += [
        f"{prefix}-{tool}-{version}" for prefix in (short,) for tool in ("g++", "gcc") for version in (14, 13, 12)
    ]
    found = next((name for name in names if which(name)), None)
    if found is None:
        wanted = ", ".join(names[:4])
        raise BuildFailed(f"no linker for {triple}: install one of {wanted}, or name the device's `linker`")
    return found


def _fcompile(command: Sequence[str], libraries: Sequence[str] = ()) -> Any:
    """A link function as `export_library` wants it (its own keeps state between calls)."""

    def link(output: str, objects: Sequence[str], options: Sequence[str] | None = None) -> None:
        whole = [*command, "-o", output, *objects, *(options or ()), *libraries]
        done = subprocess.run(whole, capture_output=True, check=False, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = f"{command[0]} ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}"
            is_killed = killed_by(done.returncode) or _PART_KILLED.search(done.stderr)
            raise WorkerKilled(said) if is_killed else BuildFailed(said)

    link.output_format = "so"  # type: ignore[attr-defined]
    return link


def _signature(module: Any) -> dict[str, Any]:
    main = module["main"]
    returned = main.ret_ty
    fields = list(returned.fields) if hasattr(returned, "fields") else [returned]
    return {
        "inputs": [{"name": str(p.name), **_tensor(p.ty)} for p in main.params],
        "outputs": [_tensor(kind) for kind in fields],
    }


def _tensor(kind: Any) -> dict[str, Any]:
    return {"shape": [int(size) for size in kind.shape], "dtype": str(kind.dtype)}
