"""The files of a compiled cell that are shipped, checked: its library, inputs and expected outputs."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import MeasureFailed, StudyError
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult
from sweep.planning.results.measurement import Measurement
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import described_in, models_in, read_plan
from sweep.running.resuming import damage_of
from sweep.study.axis import DescribedValues

if TYPE_CHECKING:
    from sweep.devices.runtimes.artifact import Artifact

__all__ = ["CellSource", "cell_source"]


@dataclass(frozen=True, slots=True)
class CellSource:
    """What a sweep has of a compiled cell."""

    built: BuildResult
    imported: ImportResult
    metadata: Mapping[str, Any]
    """What the build says of its library: `inputs`, `outputs`, and how it was lowered."""
    artifact: Artifact
    """Library, inputs and expected outputs."""
    measured: Measurement | None
    """None where it has no latency."""
    model: Mapping[str, Any]
    """`source` and `sha256` of the network's file."""
    described: DescribedValues = field(default_factory=dict)
    """What the study says of values of axes by writing them."""


def cell_source(sweep_dir: Path, cell_id: str) -> CellSource:
    """The files of a compiled cell.

    Raises:
        StudyError: one is missing, or another than the build has written.
        LedgerError: plan or ledger cannot be read.
    """
    from sweep.devices.runtimes.artifact import load_artifact

    plan, done = read_plan(sweep_dir), read_ledger(sweep_dir).done
    cell = next(entry for entry in plan["cells"] if entry["id"] == cell_id)
    results = [done[stage].result for stage in cell["stages"] if stage in done]
    built = next((result for result in results if isinstance(result, BuildResult)), None)
    imported = next((result for result in results if isinstance(result, ImportResult)), None)
    if built is None or imported is None:
        raise StudyError("was not built", key="CELL", value=cell["name"], allowed="a cell that has a library")
    for result, names in ((built, None), (imported, COMPARED)):
        if result.files is not None and (reason := damage_of(result, sweep_dir, is_read=True, names=names)) is not None:
            raise _damaged(sweep_dir, reason)
    folder, import_dir = sweep_dir / built.folder(), sweep_dir / imported.folder()
    metadata = _metadata(folder / "metadata.json")
    _check_library(folder / built.lib, metadata)
    try:
        artifact = load_artifact(folder, import_dir)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, MeasureFailed) as error:
        file = getattr(error, "filename", None) or import_dir / "inputs.npz"
        raise _damaged(Path(file), " ".join(str(error).split())) from error
    if imported.reference and artifact.expected is None:
        raise _damaged(import_dir / "reference.npz", "it is missing")
    measured = next((result for result in results if isinstance(result, Measurement)), None)
    model = models_in(plan).get(cell["model"], {})
    return CellSource(built, imported, metadata, artifact, measured, model, described_in(plan))


def _metadata(path: Path) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = metadata["inputs"], metadata["outputs"], metadata["lib_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or f"{error!r}") from error
    return metadata


def _check_library(path: Path, metadata: Mapping[str, Any]) -> None:
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _damaged(path, error.strerror or "it cannot be read") from error
    if sha256 != metadata["lib_sha256"]:
        raise _damaged(path, "it is not what was built: another sha256")


def _damaged(path: Path, why: str) -> StudyError:
    return StudyError(
        f"cannot be shipped: {why}",
        file=path,
        allowed="what the build has written, in a sweep directory with its artifacts (a URI is read without them)",
    )
