"""The file of known targets is what the installed TVM says, and what is made of it holds together."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.study.targets import known_targets

FILE = Path(known_targets.__file__).with_name("known_targets.json")


@pytest.mark.tvm
def test_the_file_is_what_the_installed_tvm_says() -> None:
    from tests.study.known_targets_writer import text

    assert FILE.read_text(encoding="utf-8") == text(), "run tests/study/known_targets_writer.py and raise the recipes"


@pytest.mark.tvm
def test_tvm_takes_every_tag_that_can_be_built() -> None:
    import tvm

    for tag, attrs in known_targets.tags().items():
        if attrs["kind"] == "llvm":
            assert tvm.target.Target(dict(attrs)).kind.name == "llvm", tag


@pytest.mark.parametrize(
    ("triple", "arch"),
    [
        ("x86_64-linux-gnu", "x86-64"),
        ("aarch64-linux-gnu", "aarch64"),
        ("arm64-linux-android", "aarch64"),
        ("armv7a-linux-gnueabihf", "arm"),
        ("riscv64-unknown-linux-gnu", "riscv64"),
        ("wasm32-unknown", None),
    ],
)
def test_triples_name_architectures(triple: str, arch: str | None) -> None:
    assert known_targets.architecture_of(triple) == arch


def test_features_follow_the_cpu_and_the_attributes() -> None:
    def features(mcpu: str | None, *mattr: str) -> frozenset[str]:
        return known_targets.features_of("x86-64", mcpu, mattr)

    assert "avx2" in features("core-avx2")
    assert "avx" not in features("nehalem")
    assert features(None) == frozenset()
    assert {"avx", "avx2", "avx512f"} <= features("nehalem", "+avx512f")
    assert not {"avx2", "fma", "avx"} & features("core-avx2", "-avx")
    assert "sse4.2" in features("core-avx2", "-avx")
    assert features("nehalem") < features("core-avx2") < features("skylake-avx512") < features("sapphirerapids")


def test_features_of_arm_cpus_and_of_versions_of_the_architecture() -> None:
    def features(mcpu: str | None, *mattr: str) -> frozenset[str]:
        return known_targets.features_of("aarch64", mcpu, mattr)

    assert features(None) == {"neon"}
    assert features(None, "+neon") == {"neon"}
    assert features(None, "-neon") == frozenset()
    assert features("cortex-a53") == {"neon", "crc"}
    assert features("cortex-a53") == features("cortex-a72") < features("cortex-a76") < features("neoverse-v1")
    assert features("cortex-a72", "+dotprod") - features("cortex-a72") == {"dotprod"}
    assert {"dotprod", "fullfp16"} <= features("cortex-a76")
    assert "fullfp16" not in features("cortex-a76", "-fullfp16")
    assert not {"fullfp16", "fp16fml", "sve"} & features("neoverse-v1", "-fullfp16")
    assert {"crc", "lse", "rdm"} <= features(None, "+v8.2a")
    assert "dotprod" not in features(None, "+v8.2a")
    assert {"dotprod", "i8mm", "bf16"} <= features(None, "+v8.6a")


def test_versions_of_avx_imply_what_they_need() -> None:
    assert {"avx512f", "avx512fp16", "avx2"} <= known_targets.features_of("x86-64", None, ["+avx10.1"])
    assert "avx2" in known_targets.features_of("x86-64", "nehalem", ["+vaes"])
