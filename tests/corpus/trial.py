"""One network through import, lowering, build and run, at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, SweepError
from sweep.planning.kinds import STAGE_KINDS
from sweep.study.importers.importer_registry import UNNAMED, importer_named
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.corpus.compared import NOT_COMPARED

__all__ = ["Outcome", "try_network"]

TARGET = {"kind": "llvm", "native": "here", "num-cores": 1}
_COMPARE = CompileJob("tests.corpus.compared:compare")
_LIMIT_S = 240.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a network."""

    refused: str | None = None
    """Why it could not be imported."""
    wrong: Mapping[int, str] = field(default_factory=dict)
    """By level, what is not as it should be."""
    left_out: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """By level, the passes that were left out, where there are any."""
    unknown: str | None = None
    """Why neither ONNX Runtime nor onnx's evaluator runs the file as it is, so that nothing tells what is right."""


def try_network(
    pool: CompilePool,
    path: Path,
    levels: Sequence[int],
    folder: Path,
    precision: str = "float32",
    inputs: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    against: tuple[CompileJob, Mapping[str, Any]] | None = None,
) -> Outcome:
    """Import a file once, and compile and run it at each level.

    folder: for what is made. against: the job that compares instead, with its arguments but those of the artifact.
    """

    def run(job: CompileJob, **arguments: Any) -> dict[str, Any]:
        return pool.submit(job.within(_LIMIT_S), arguments).result()

    imported = folder / "artifacts" / "import" / "it"
    options = {"inputs": dict(inputs or {}), "batch": batch, "seed": 0}
    try:
        run(_job("import"), options=options, hints=_hints(path), out_dir=str(imported))
    except ImportFailed as error:
        return Outcome(refused=str(error))
    wrong: dict[int, str] = {}
    left_out: dict[int, Sequence[str]] = {}
    unknown: str | None = None
    for level in levels:
        lower_dir, build_dir = (str(folder / "artifacts" / kind / f"{level}{precision}") for kind in ("lower", "build"))
        axes = {"opt_level": level, "layout": "NCHW", "precision": precision, "target": TARGET}
        try:
            lowered = run(_job("lower"), options=axes, import_dir=str(imported), out_dir=lower_dir)
            built = run(_job("build"), options={"target": TARGET}, lower_dir=lower_dir, out_dir=build_dir)
            threshold = 1e-2 if precision == "float16" else 1e-3
            compare, more = against or (_COMPARE, {"original": str(path), "threshold": threshold})
            found = run(compare, artifact_dir=build_dir, import_dir=str(imported), **more)
        except SweepError as error:
            wrong[level] = f"{type(error).__name__}: {error}"
            continue
        if without := [*lowered.get("passes_left_out", ()), *built.get("passes_left_out", ())]:
            left_out[level] = without
        unknown = found.get("unknown") or unknown
        if found["differs"] or found["check"] not in ("agrees", NOT_COMPARED):
            wrong[level] = f"{found['differs'] or 'right'}; the check says: {found['check']}"
    return Outcome(wrong=wrong, left_out=left_out, unknown=unknown)


def _job(kind: str) -> CompileJob:
    named = STAGE_KINDS.get(kind)
    return CompileJob(named.job, named.error_class)


def _hints(path: Path) -> dict[str, str]:
    return {"path": str(path), "loader": importer_named(UNNAMED, path).loader}
