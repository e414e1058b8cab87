"""Whether code for a target can run on a device, and the reason where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.study.cluster.cluster import Device
from sweep.study.cluster.target_fit import fit
from sweep.study.spec import Target
from sweep.study.targets import host
from sweep.study.targets.written_target import read_target

A64 = "-mtriple=aarch64-linux-gnu"


def target_of(text: str) -> Target:
    return read_target(text, Path("study.yaml"), "target")


def device_of(target: str) -> Device:
    attrs = {"kind": "llvm", "native": "test-cpu"} if target == "native" else target_of(target).attrs
    return Device("board", attrs, threads=1, cores=(), managed=False)


FITS = [
    ("native", f"llvm {A64} -mattr=+neon"),
    ("native", "native"),
    ("llvm", f"llvm {A64} -mattr=+neon"),
    ("llvm", "native"),
    (f"llvm {A64}", f"llvm {A64}"),
    ("llvm -mtriple=arm64-linux-gnu", f"llvm {A64}"),
    (f"llvm {A64} -mattr=+neon", f"llvm {A64}"),
    (f"llvm {A64} -mattr=-neon", f"llvm {A64}"),
    (f"llvm {A64} -mcpu=cortex-a53", "arm/rasp4b64"),
    ("llvm -mcpu=cortex-a53", f"llvm {A64} -mcpu=cortex-a72"),
    (f"llvm {A64} -mattr=+dotprod,+fullfp16", f"llvm {A64} -mcpu=cortex-a76"),
    (f"llvm {A64} -mattr=+dotprod", f"llvm {A64} -mattr=+v8.6a"),
    (f"llvm {A64} -mcpu=neoverse-n1 -mattr=-fullfp16", f"llvm {A64} -mcpu=neoverse-n1"),
    ("llvm -mcpu=nehalem", "native"),
    ("llvm -mattr=+avx2", "llvm -mcpu=core-avx2"),
    ("llvm -mattr=+avx512f", "llvm -mcpu=skylake-avx512"),
    ("llvm -mcpu=skylake-avx512 -mattr=-avx512f", "llvm -mcpu=skylake-avx512"),
]

AARCH64_ON_X86 = "it is for aarch64, the device is x86-64"
X86_ON_AARCH64 = "it is for x86-64, the device is aarch64"

DOES_NOT_FIT = [
    (f"llvm {A64}", "native", AARCH64_ON_X86),
    ("arm/rasp4b64", "native", AARCH64_ON_X86),
    (f"llvm {A64} -mattr=+neon", "llvm -mcpu=core-avx2", AARCH64_ON_X86),
    ("llvm -mcpu=core-avx2", f"llvm {A64}", X86_ON_AARCH64),
    ("llvm -mcpu=core-avx2", "arm/rasp4b64", X86_ON_AARCH64),
    ("llvm -mattr=+avx2", f"llvm {A64}", X86_ON_AARCH64),
    ("llvm -mtriple=x86_64-linux-gnu", f"llvm {A64}", X86_ON_AARCH64),
    ("llvm -mtriple=armv7a-linux-gnueabihf", f"llvm {A64}", "it is for arm, the device is aarch64"),
    (f"llvm {A64} -mattr=+dotprod", f"llvm {A64} -mattr=+neon", "the device lacks dotprod"),
    (f"llvm {A64} -mattr=+fullfp16", "arm/rasp4b64", "the device lacks fullfp16"),
    (f"llvm {A64} -mattr=+fullfp16", f"llvm {A64} -mcpu=cortex-a53", "the device lacks fullfp16"),
    (f"llvm {A64} -mattr=+v8.2a", f"llvm {A64} -mcpu=cortex-a53", "the device lacks lse, rdm"),
    (f"llvm {A64} -mattr=+sve2", f"llvm {A64} -mcpu=neoverse-v1", "the device lacks sve2"),
    (f"llvm {A64} -mattr=+neon", f"llvm {A64} -mattr=-neon", "the device lacks neon"),
    (f"llvm {A64} -mcpu=cortex-a76", "arm/rasp4b64", "the device lacks dotprod, fullfp16, lse, rcpc, rdm"),
    ("llvm -mcpu=cortex-a53", f"llvm {A64} -mattr=+neon", "the device lacks crc"),
    ("llvm -mattr=+avx512f", "native", "the device lacks avx512f"),
    ("llvm -mcpu=core-avx2 -mattr=+avx512f", "llvm -mcpu=core-avx2", "the device lacks avx512f"),
    ("llvm -mattr=+avx512vnni", "native", "the device lacks avx512f, avx512vnni"),
    ("llvm -mattr=+vaes", "llvm -mcpu=nehalem", "the device lacks avx, avx2"),
    ("llvm -num-cores=2", "native", "it is for 2 cores, the device runs 1 thread"),
]


@pytest.mark.parametrize(("target", "device"), FITS)
def test_what_a_device_can_run_fits(target: str, device: str) -> None:
    assert fit(target_of(target), device_of(device)) is None


@pytest.mark.parametrize(("target", "device", "reason"), DOES_NOT_FIT)
def test_what_a_device_cannot_run_is_refused_with_the_reason(target: str, device: str, reason: str) -> None:
    assert fit(target_of(target), device_of(device)) == reason


def test_on_an_arm_host_its_own_features_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "architecture", lambda: "aarch64")
    monkeypatch.setattr(host, "features", lambda: frozenset({"neon", "crc", "dotprod"}))
    here = device_of("native")
    for target, reason in (
        ("llvm -mcpu=cortex-a53", None),
        ("llvm -mattr=+dotprod", None),
        ("llvm -mattr=+fullfp16", "the device lacks fullfp16"),
        ("llvm -mcpu=core-avx2", "it is for x86-64, the device is aarch64"),
    ):
        assert fit(target_of(target), here) == reason
