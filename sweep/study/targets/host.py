"""This machine's CPU and cores, read from the operating system without TVM."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from functools import cache
from pathlib import Path

from sweep.study.targets import known_targets

__all__ = ["architecture", "cpu_id", "features", "linux_name", "usable_cores"]

_ARCHITECTURES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "aarch64", "arm64": "aarch64", "riscv64": "riscv64"}

# Where Linux's name of a feature is not LLVM's
_LLVM_NAMES = {
    "x86-64": {
        "pni": "sse3",
        "sse4_1": "sse4.1",
        "sse4_2": "sse4.2",
        "abm": "lzcnt",
        "bmi1": "bmi",
        "avx512_vbmi2": "avx512vbmi2",
        "avx512_vnni": "avx512vnni",
        "avx512_bitalg": "avx512bitalg",
        "avx512_vpopcntdq": "avx512vpopcntdq",
        "avx512_bf16": "avx512bf16",
        "avx512_fp16": "avx512fp16",
        "avx_vnni": "avxvnni",
        "avx_vnni_int8": "avxvnniint8",
        "avx_ifma": "avxifma",
        "amx_tile": "amx-tile",
        "amx_int8": "amx-int8",
        "amx_bf16": "amx-bf16",
        "amx_fp16": "amx-fp16",
    },
    "aarch64": {
        "asimd": "neon",
        "asimddp": "dotprod",
        "asimdhp": "fullfp16",
        "asimdfhm": "fp16fml",
        "asimdrdm": "rdm",
        "atomics": "lse",
        "crc32": "crc",
        "lrcpc": "rcpc",
        "fcma": "complxnum",
    },
    "arm": {"vfpv4": "vfp4", "idiva": "hwdiv-arm", "asimddp": "dotprod", "asimdhp": "fullfp16", "crc32": "crc"},
}


def architecture() -> str:
    """This machine's, in the words of the known targets: x86-64, aarch64, arm, riscv64, or what the system says."""
    machine = platform.machine().lower()
    return "arm" if re.match(r"armv[678]", machine) else _ARCHITECTURES.get(machine, machine)


@cache
def features() -> frozenset[str]:
    """What this CPU can execute, in LLVM's names where they differ from Linux's."""
    names = _LLVM_NAMES.get(architecture(), {})
    fields = _cpuinfo()
    flags = f"{fields.get('flags', '')} {fields.get('features', '')}".lower().split()
    return frozenset(names.get(flag, flag) for flag in flags)


def linux_name(arch: str, feature: str) -> str:
    """What /proc/cpuinfo of an architecture calls a feature that LLVM has this name for."""
    return next((flag for flag, name in _LLVM_NAMES.get(arch, {}).items() if name == feature), feature)


@cache
def cpu_id() -> str:
    """Names this CPU, so that results of another one are not taken for its own: `amd-epyc-26-2-1f0c9a3e`."""
    fields = _cpuinfo()
    model = fields.get("model name") or fields.get("hardware") or platform.processor() or platform.machine()
    numbers = [fields.get(name, "") for name in ("cpu family", "model", "cpu implementer", "cpu part")]
    # Only what code generation looks at: a new kernel lists new flags of the same CPU
    decisive = sorted(features() & known_targets.decisive_features(architecture()))
    flags = hashlib.sha256(" ".join(decisive).encode()).hexdigest()[:8]
    return re.sub(r"[^a-z0-9]+", "-", " ".join([model, *numbers, flags]).lower()).strip("-")


def usable_cores() -> tuple[int, ...]:
    """Cores that this process may use, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _cpuinfo() -> dict[str, str]:
    """Fields of the first processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields
