"""One network of a package through import, lowering, build and run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sweep
from sweep.errors import SweepError
from sweep.planning.kinds import STAGE_KINDS
from sweep.study.spec import Model
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.corpus.trial import TARGET
from tests.packaged.listing import Packaged

__all__ = ["Tried", "try_packaged"]

_COMPARE = CompileJob("tests.packaged.own_runtime:compare")
_LIMIT_S = 600.0
_THRESHOLD = 1e-3


@dataclass(frozen=True, slots=True)
class Tried:
    """How far a network came."""

    is_imported: bool = False
    is_built: bool = False
    is_equal: bool = False
    difference: float | None = None
    """The greatest of an output, as a share of its largest value."""
    own_difference: float | None = None
    """Where that is above the bar: its own runtime's from itself, once inputs are off by their rounding."""
    why: str = ""
    """One line where it did not come to its end."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def try_packaged(pool: CompilePool, network: Packaged, path: Path, folder: Path, level: int) -> Tried:
    """Whatever happens is told in what is returned. folder: for what is made."""
    about: dict[str, Any] = {}
    folder.mkdir(parents=True, exist_ok=True)

    def run(kind: str, job: CompileJob, **arguments: Any) -> dict[str, Any]:
        try:
            return pool.submit(job.within(_LIMIT_S), arguments).result()
        except SweepError as error:
            raise _Stopped(f"{kind}: {type(error).__name__}: {error}") from error

    try:
        model = _model(network, path, folder)
        imported = folder / "artifacts" / "import" / "it"
        hints = {"path": str(path), "loader": _loader(model)}
        options = {"inputs": _shapes(network), "batch": None, "seed": 0, "values": _values(network), **model.options}
        run("import", _job("import"), options=options, hints=hints, out_dir=str(imported))
        about["is_imported"] = True
        axes = {"opt_level": level, "layout": "NCHW", "precision": "float32", "target": TARGET}
        lower, build = (str(folder / "artifacts" / kind / "it") for kind in ("lower", "build"))
        run("lower", _job("lower"), options=axes, import_dir=str(imported), out_dir=lower)
        run("build", _job("build"), options={"target": TARGET}, lower_dir=lower, out_dir=build)
        about["is_built"] = True
        found = run(
            "run", _COMPARE, artifact_dir=build, import_dir=str(imported), original=str(path), threshold=_THRESHOLD
        )
    except _Stopped as stopped:
        return Tried(**about, why=" ".join(str(stopped).split()))
    about["difference"] = found.get("difference")
    own = found.get("own_difference")
    is_near = own is not None and found.get("difference", math.inf) <= own
    if found["differs"] and not is_near:
        told = f"its own runtime from itself by {own:.2g}, where inputs are off by their rounding"
        return Tried(**about, why=f"run: {found['differs']}; {told}")
    if found["check"] != "agrees":
        return Tried(**about, why=f"run: right, but the product's own check says: {found['check']}")
    return Tried(**about, is_equal=True, own_difference=own)


class _Stopped(Exception):
    """Where a network came no further, and why."""


def _model(network: Packaged, path: Path, folder: Path) -> Model:
    """As a study's gate reads it, so that what a person would be refused is refused here."""
    inputs = {name: dict(given) for name, given in network.inputs.items()}
    about = {"study": "packaged", "models": [{"path": str(path), **({"inputs": inputs} if inputs else {})}]}
    try:
        return sweep.load_study(about).models[0]
    except SweepError as error:
        raise _Stopped(f"study: {type(error).__name__}: {error}") from error


def _loader(model: Model) -> str:
    from sweep.study.importers.importer_registry import importer_named

    return importer_named(model.importer).loader


def _shapes(network: Packaged) -> dict[str, list[int]]:
    return {name: list(given["shape"]) for name, given in network.inputs.items() if "shape" in given}


def _values(network: Packaged) -> Mapping[str, Mapping[str, Any]]:
    return {name: {"range": given["range"]} for name, given in network.inputs.items() if "range" in given}


def _job(kind: str) -> CompileJob:
    named = STAGE_KINDS.get(kind)
    return CompileJob(named.job, named.error_class)
