"""Versions that a stage's result depends on, read without importing what they are versions of."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from functools import cache

from sweep.planning.stage_kind import StageKind

__all__ = ["versions_of"]


def versions_of(
    kind: StageKind, distributions: Sequence[str] | None = None, source: str = ""
) -> Mapping[str, str | int]:
    """Of a kind of stage: its revision here, and the packages that do the work. LLVM comes inside the TVM package.

    distributions: in place of the kind's. source: hash of a file that belongs to no package.
    """
    names = kind.distributions if distributions is None else distributions
    versions = {name: _version(name) for name in names}
    return {"recipe": kind.revision, **versions, **({"source": source} if source else {})}


@cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
