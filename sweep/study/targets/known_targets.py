"""The targets that the installed TVM knows, from a file made with it: tags, CPUs, features.

TVM accepts a misspelt CPU or feature in silence and generates plain code, and to ask it takes seconds. The file is
written by `tests/study/known_targets_writer.py`, and a test compares it with the installed TVM.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "architecture_of",
    "architectures",
    "cpus",
    "decisive_features",
    "feature_names",
    "features_of",
    "tags",
]

_TRIPLE_STARTS = (
    ("x86-64", ("x86_64", "amd64")),
    ("aarch64", ("aarch64", "arm64")),
    ("arm", ("arm", "thumb")),
    ("riscv64", ("riscv64",)),
)


@cache
def _known() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(Path(__file__).with_name("known_targets.json").read_text(encoding="utf-8"))
    return known


def architectures() -> tuple[str, ...]:
    """Those that targets can be checked for."""
    return tuple(_known()["cpus"])


def tags() -> Mapping[str, Mapping[str, Any]]:
    """TVM's tags and their dicts; of kinds that sweep does not build for, the kind alone."""
    found: Mapping[str, Mapping[str, Any]] = _known()["tags"]
    return found


def architecture_of(mtriple: str) -> str | None:
    """The architecture that a triple names; none when it is not one of ours."""
    first = mtriple.split("-")[0].lower()
    return next((arch for arch, starts in _TRIPLE_STARTS if first.startswith(starts)), None)


def cpus(arch: str) -> list[str]:
    """LLVM's names of an architecture's CPUs."""
    return [name for name in _known()["cpus"][arch] if name]


@cache
def feature_names(arch: str) -> frozenset[str]:
    """LLVM's names of an architecture's features, as `mattr` takes them."""
    return frozenset(_known()["features"][arch].split())


@cache
def decisive_features(arch: str) -> frozenset[str]:
    """Those without which code that was built for them dies of an illegal instruction."""
    return frozenset(_known()["decisive"].get(arch, "").split())


def features_of(arch: str, mcpu: str | None, mattr: Iterable[str]) -> frozenset[str]:
    """The decisive features that code for this CPU may use, `mattr` counted in."""
    known = _known()
    found = set(known["cpus"][arch].get(mcpu or "", "").split())
    for attribute in mattr:
        name = attribute[1:]
        if attribute[0] == "+":
            found.update(known["implied"][arch].get(name, "").split())
        else:
            # What needs the feature goes with it
            found -= {name, *(other for other, needs in known["implied"][arch].items() if name in needs.split())}
    return frozenset(found)
