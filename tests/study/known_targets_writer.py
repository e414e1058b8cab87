"""Writes `sweep/study/targets/known_targets.json` from the installed TVM: `python tests/study/known_targets_writer.py`.

The study room must not load TVM, and still has to tell a misspelt CPU, feature or tag, which TVM itself passes over in
silence, and code that a device cannot execute.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

TRIPLES = {
    "x86-64": "x86_64-linux-gnu",
    "aarch64": "aarch64-linux-gnu",
    "arm": "armv7a-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
}

# Features that code may depend on so that it dies where they are missing (an illegal instruction ends an RPC server)
DECISIVE = {
    "x86-64": """
        sse3 ssse3 sse4.1 sse4.2 sse4a popcnt lzcnt movbe bmi bmi2 avx f16c fma fma4 xop tbm avx2
        avx512f avx512cd avx512bw avx512dq avx512vl avx512ifma avx512vbmi avx512vbmi2 avx512vnni avx512bitalg
        avx512vpopcntdq avx512bf16 avx512fp16 avxvnni avxvnniint8 avxifma gfni amx-tile amx-int8 amx-bf16 amx-fp16
    """,
    "aarch64": "neon crc lse rdm rcpc complxnum dotprod fullfp16 fp16fml bf16 i8mm sve sve2 sme sme2 mops cssc",
    "arm": "neon vfp4 hwdiv-arm crc dotprod fullfp16 bf16 i8mm",
    "riscv64": "m a f d c v zba zbb zbs zfh zvfh",
}

# Real features that no CPU has switched on
FURTHER = {
    "x86-64": "soft-float prefer-128-bit rtm cf retpoline evex512",
    "aarch64": """
        sve2p1 sve2-aes sve2-bitperm sve2-sha3 sve2-sm4 reserve-x18 fmv crypto fix-cortex-a53-835769 outline-atomics
    """,
    "arm": "soft-float long-calls reserve-r9 fp16 crypto",
    "riscv64": "relax save-restore e zfinx zdinx zhinx zcmt",
}


def known_targets() -> dict[str, Any]:
    """The content of the file."""
    import tvm

    def features(triple: str, **attrs: Any) -> set[str]:
        target = tvm.target.Target({"kind": "llvm", "mtriple": triple, **attrs})
        return {str(name) for name in tvm.target.codegen.llvm_get_cpu_features(target)}

    def decisive(arch: str, names: set[str]) -> str:
        return " ".join(name for name in DECISIVE[arch].split() if name in names)

    cpus: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    implied: dict[str, dict[str, str]] = {}
    for arch, triple in TRIPLES.items():
        listed = tvm.target.codegen.llvm_get_cpu_archlist(tvm.target.Target({"kind": "llvm", "mtriple": triple}))
        by_cpu = {str(cpu): features(triple, mcpu=str(cpu)) for cpu in sorted(map(str, listed))}
        base = features(triple)
        known = set().union(*by_cpu.values(), base)
        known |= {name for name in FURTHER[arch].split() if name in features(triple, mattr=[f"+{name}"])}
        cpus[arch] = {"": decisive(arch, base)} | {cpu: decisive(arch, has) for cpu, has in by_cpu.items()}
        names[arch] = " ".join(sorted(known))
        by_feature = {name: decisive(arch, features(triple, mattr=[f"+{name}"]) - base) for name in sorted(known)}
        implied[arch] = {name: implies for name, implies in by_feature.items() if implies}
    return {
        "tvm": version("apache-tvm"),
        "tags": {str(tag): _plain(target) for tag, target in sorted(_tags().items(), key=lambda item: str(item[0]))},
        "cpus": cpus,
        "decisive": {arch: " ".join(DECISIVE[arch].split()) for arch in TRIPLES},
        "features": names,
        "implied": implied,
    }


def _tags() -> dict[str, Any]:
    from tvm.target.tag_registry import registry

    return dict(registry.list_tags())


def _plain(target: Any) -> dict[str, Any]:
    """A tag's dict without what TVM derives from the rest; of kinds that sweep does not build for, the kind alone."""
    attrs = {str(key): value for key, value in dict(target.export()).items()}
    if str(attrs["kind"]) != "llvm":
        return {"kind": str(attrs["kind"])}
    kept = {key: value for key, value in attrs.items() if key not in ("tag", "host") and not key.startswith("feature.")}
    return {key: _json(value) for key, value in sorted(kept.items())}


def _json(value: Any) -> Any:
    if isinstance(value, (bool, int, float)):
        return value
    return str(value) if isinstance(value, str) else [str(item) for item in value]


def text() -> str:
    """The file's text: stable, one line an entry."""
    return json.dumps(known_targets(), indent=0, sort_keys=True, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    out = Path(__file__).parents[2] / "sweep" / "study" / "targets" / "known_targets.json"
    out.write_text(text(), encoding="utf-8")
    print(out, out.stat().st_size, "bytes")
