"""The door to TVM: loads what a CPU compilation needs and nothing else, and turns a study's target into TVM's.

Importing `tvm.s_tir.tensor_intrin` registers the tensor intrinsics of every target TVM knows, which takes 13 to 20 s
(CUDA's alone 14 s) and happens on the first `TuneContext`. A stub package with the same name and search path stands
in for it here, so that only the wanted submodules load (x86: 0.2 s) and a later `import tvm.s_tir.tensor_intrin`
finds the stub.
"""

from __future__ import annotations

import difflib
import importlib
import json
import platform
import sys
import types
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sweep.errors import ToolchainError, in_one_line
from sweep.installation import torch_left_out

__all__ = ["intrinsics_for", "load_tvm", "resolve_target", "target_json"]

_INTRINSICS = "tvm.s_tir.tensor_intrin"

_KIND_OF_TRIPLE = {
    "x86_64": "x86",
    "i386": "x86",
    "i686": "x86",
    "aarch64": "arm_cpu",
    "arm": "arm_cpu",
    "thumb": "arm_cpu",
    "riscv": "riscv_cpu",
    "hexagon": "hexagon",
}

_X86_FEATURES = {
    "avx": "avx",
    "avx2": "avx2",
    "fma": "fma",
    "f16c": "f16c",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512cd": "avx512cd",
    "avx512dq": "avx512dq",
    "avx512vl": "avx512vl",
    "avx512vnni": "avx512_vnni",
    "avx512bf16": "avx512_bf16",
    "avx512fp16": "avx512_fp16",
    "avxvnni": "avx_vnni",
    "amx-tile": "amx_tile",
    "amx-int8": "amx_int8",
    "amx-bf16": "amx_bf16",
}
"""LLVM's name of a feature -> its flag in /proc/cpuinfo: those whose absence makes compiled code die of SIGILL."""


def load_tvm(kinds: Sequence[str] = ("x86",)) -> types.ModuleType:
    """Import TVM with the tensor intrinsics of `kinds` (submodules of `tvm.s_tir.tensor_intrin`) and with exp, tanh and
    erf in vectors; harmless when repeated.

    Raises ToolchainError when TVM is not installed or a kind does not exist.
    """
    try:
        with torch_left_out():
            tvm = importlib.import_module("tvm")
        s_tir = importlib.import_module("tvm.s_tir")
    except ImportError as error:
        raise ToolchainError(f"TVM cannot be imported: {error}; `sweep doctor` shows what is installed") from error
    if _INTRINSICS not in sys.modules:
        stub = types.ModuleType(_INTRINSICS, "Stands in for the real package, whose __init__ loads every target.")
        stub.__path__ = [str(Path(str(s_tir.__file__)).parent / "tensor_intrin")]
        sys.modules[_INTRINSICS] = stub
        s_tir.tensor_intrin = stub  # type: ignore[attr-defined]
    for kind in kinds:
        try:
            importlib.import_module(f"{_INTRINSICS}.{kind}")
        except ImportError as error:
            raise ToolchainError(f"no tensor intrinsics for {kind!r}: {error}") from error
    importlib.import_module("sweep.toolchain.vector_math").register_vector_math()
    return tvm


def intrinsics_for(target: Any) -> tuple[str, ...]:
    """The submodules of tensor intrinsics a resolved TVM target needs: by its kind, then by its triple."""
    kind = str(target.kind.name)
    if kind != "llvm":
        return (kind,) if kind in ("cuda", "rocm", "metal", "hexagon") else ()
    triple = str(target.attrs.get("mtriple", "") or "")
    architecture = triple.split("-")[0] if triple else "x86_64" if _host_is_x86() else "aarch64"
    return tuple(sorted({name for prefix, name in _KIND_OF_TRIPLE.items() if architecture.startswith(prefix)}))


def resolve_target(attrs: Mapping[str, Any], intrinsics: bool = True) -> Any:
    """A study's target as TVM's, with the tensor intrinsics loaded that a search or a tuning record of it may name.

    `native` (the id of a CPU) becomes the `mcpu` of this host, less the features that its kernel or hypervisor hides;
    a CPU name that LLVM does not know is refused here, since TVM takes it and generates baseline code.
    Raises ToolchainError.
    """
    tvm = load_tvm(())
    wanted = dict(attrs)
    native = wanted.pop("native", None)
    if wanted.get("kind") == "native":
        wanted["kind"], native = "llvm", "native"
    if native is not None:
        wanted = {**_native_attrs(), **wanted}
    if wanted.get("kind") == "llvm":
        _check_triple(wanted)
        _check_cpu(tvm, wanted)
    try:
        target = tvm.target.Target(_unfrozen(wanted))
    except Exception as error:
        raise ToolchainError(
            f"TVM refuses the target {json.dumps(wanted, default=str)}: {in_one_line(error)}"
        ) from error
    if intrinsics:
        load_tvm(intrinsics_for(target))
        importlib.import_module("sweep.toolchain.dot_intrinsics").register_dot_intrinsics()
    return target


def target_json(target: Any) -> str:
    """A resolved target as canonical JSON: keys sorted, without what TVM derives from the rest."""
    return json.dumps(_asked(_plain(target.export())), sort_keys=True)


def _asked(exported: Any) -> Any:
    if not isinstance(exported, dict):
        return exported
    return {k: _asked(v) for k, v in exported.items() if k not in ("tag", "keys") and not k.startswith("feature.")}


@lru_cache(maxsize=1)
def _native_attrs() -> dict[str, Any]:
    codegen = importlib.import_module("tvm.target.codegen")
    tvm = importlib.import_module("tvm")
    cpu = str(codegen.llvm_get_system_cpu())
    attrs: dict[str, Any] = {"kind": "llvm", "mcpu": cpu}
    if _host_is_x86():
        implied = {str(name) for name in codegen.llvm_get_cpu_features(tvm.target.Target(dict(attrs)))}
        flags = _cpu_flags()
        hidden = sorted(
            f"-{name}" for name, flag in _X86_FEATURES.items() if flags and name in implied and flag not in flags
        )
        if hidden:
            attrs["mattr"] = hidden
    return attrs


def _check_triple(attrs: Mapping[str, Any]) -> None:
    triple = str(attrs.get("mtriple", "") or "")
    if triple and not triple.startswith(tuple(_KIND_OF_TRIPLE)):  # an unknown one makes LLVM's wrapper segfault
        raise ToolchainError(f"unknown architecture in mtriple {triple!r}; known: {', '.join(_KIND_OF_TRIPLE)}")


def _check_cpu(tvm: Any, attrs: Mapping[str, Any]) -> None:
    cpu = str(attrs.get("mcpu", "") or "")
    if not cpu:
        return
    codegen = importlib.import_module("tvm.target.codegen")
    bare = {key: attrs[key] for key in ("kind", "mtriple") if key in attrs}
    known = [str(name) for name in codegen.llvm_get_cpu_archlist(tvm.target.Target(bare))]
    if known and cpu not in known:
        near = difflib.get_close_matches(cpu, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ToolchainError(f"LLVM knows no CPU {cpu!r} for {attrs.get('mtriple', 'this host')}{hint}")


def _host_is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), frozenset())


def _unfrozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _unfrozen(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unfrozen(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "export"):
        return _plain(value.export())
    return [_plain(item) for item in value]
