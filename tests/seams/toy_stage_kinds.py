"""Two kinds of stage that this project does not ship, with their jobs: a digest of a library, and how much one grew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep.planning.draft import Draft, Drafting
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage_kind import Place, StageKind
from sweep.study.spec import Cell

__all__ = ["DIGEST", "GROWTH", "Digest", "Growth"]

HERE = "tests.seams.toy_stage_kinds"


@dataclass(frozen=True, slots=True)
class Digest(StageResult):
    """What a library is, in one word."""

    sha256: str = ""
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Growth(StageResult):
    """How much longer a library is than another."""

    before: str = ""
    after: str = ""


def draft_digest(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """Of every compiled cell."""
    if not cell.is_compiled:
        return None
    options = study.options("digest", cell, {"algorithm": "sha256"})
    return Draft(options, {"build": made["build"]}, f"digest {study.compiled(cell)}{study.whose(cell)}")


def digest(
    options: Mapping[str, Any], hints: Mapping[str, Any], inputs: Mapping[str, Any], sweep_dir: str, out_dir: str
) -> dict[str, Any]:
    """The job."""
    library = Path(sweep_dir) / inputs["build"]["dir"] / "lib.so"
    found = hashlib.new(options["algorithm"], library.read_bytes()).hexdigest()
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digest.txt").write_text(found)
    return {"sha256": found, "bytes": library.stat().st_size}


def draft_growth(study: Drafting, cell: Cell, made: Mapping[str, str]) -> Draft | None:
    """From level 1 to level 3: takes the build of another cell beside the cell's own."""
    if not cell.is_compiled or cell.opt_level != 3:
        return None
    before = study.stage_of(replace(cell, opt_level=1), "build")
    if before is None:
        return None
    inputs = {"before": before, "after": made["build"]}
    return Draft(study.options("growth", cell, {}), inputs, f"growth {study.compiled(cell)}{study.whose(cell)}")


def growth(
    options: Mapping[str, Any], hints: Mapping[str, Any], inputs: Mapping[str, Any], sweep_dir: str, out_dir: str
) -> dict[str, Any]:
    """The job."""
    Path(out_dir).mkdir(parents=True, exist_ok=True)
    return {role: inputs[role]["dir"] for role in ("before", "after")}


DIGEST = StageKind(
    name="digest",
    inputs={"build": "build"},
    place=Place.COMPILE,
    result=Digest,
    draft=draft_digest,
    error_class="BuildFailed",
    cost_s=0.5,
    limit_s=30.0,
    job=f"{HERE}:digest",
    is_goal=True,
)
GROWTH = StageKind(
    name="growth",
    inputs={"before": "build", "after": "build"},
    place=Place.COMPILE,
    result=Growth,
    draft=draft_growth,
    error_class="BuildFailed",
    limit_s=30.0,
    job=f"{HERE}:growth",
    is_goal=True,
)
