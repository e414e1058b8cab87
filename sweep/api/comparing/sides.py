"""Opens one side of a comparison of sweeps: a sweep directory, the URI or zip file of one, or an exported bundle."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.analysis.comparing.measured_cell import COMPARABLE, Block, MeasuredCell
from sweep.analysis.comparing.shared_cells import SweepSide
from sweep.analysis.outcome import MEASURED
from sweep.analysis.rows.bounds import EXACT
from sweep.api.bundles.reading import is_bundle, opened
from sweep.api.session.stored_sweep import fetched, is_uri
from sweep.api.session.table_cache import refresh
from sweep.errors import LedgerError, StudyError
from sweep.files.sweep_dir import LEDGER, SweepDir
from sweep.files.typed_json import parsed
from sweep.files.unpacked_size import check_unpacked
from sweep.redaction import without_login
from sweep.running.ledger.saved_plan import models_in, read_plan
from sweep.study.spec import Cell

__all__ = ["OpenSide", "opened_side"]

_ALLOWED = "a sweep directory, the URI or a zip file of one, or a bundle of `sweep export`"
_UNREADABLE = (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class OpenSide:
    """One side, with the place from which its libraries can be loaded while it is open."""

    side: SweepSide
    folder: Path
    """A sweep directory, or a bundle; a copy that is gone afterwards where it came as a file."""
    is_bundle: bool = False
    is_copy: bool = False
    """Whether `folder` is a copy of what the person named."""


@contextmanager
def opened_side(place: Path | str, key: str, *, is_whole: bool = False) -> Iterator[OpenSide]:
    """One side to be read. `key`: the argument in which a person named it; `is_whole`: what its stages have made comes
    along from a URI.

    Raises:
        StudyError: it is nothing of this, or damaged.
        LedgerError: its ledger or plan cannot be read.
        RecordError: it has no tables, or a URI cannot be reached.
    """
    if isinstance(place, str) and is_uri(place):
        yield _sweep(fetched(place, is_whole=is_whole), without_login(place), is_copy=True)
        return
    path, name = Path(place), str(place)
    if path.is_file() and _holds_sweep(path):
        with tempfile.TemporaryDirectory(prefix="baseline-") as scratch:
            yield _sweep(_unpacked(path, Path(scratch), key), name, is_copy=True)
    elif is_bundle(path) and not SweepDir(path).is_sweep:
        with opened(path) as bundle:
            yield OpenSide(_of_bundle(bundle.manifest, name), path, is_bundle=True)
    else:
        SweepDir(path).require_as(key, value=name, allowed=_ALLOWED)
        yield _sweep(path, name)


def _sweep(folder: Path, name: str, *, is_copy: bool = False) -> OpenSide:
    from sweep.record.parquet_tables import read_measurements, read_results

    refresh(folder)
    rows = {row["cell_id"]: row for row in read_results(folder).to_pylist()}
    repeats: dict[str, list[Mapping[str, Any]]] = {}
    for repeat in read_measurements(folder).to_pylist():
        if repeat["kind"] in COMPARABLE:
            repeats.setdefault(repeat["cell_id"], []).append(repeat)
    measured = {
        cell_id: MeasuredCell.of(row, repeats[cell_id])
        for cell_id, row in rows.items()
        if row["status"] in MEASURED and cell_id in repeats
    }
    libraries = {cell_id: sha for cell_id, row in rows.items() if (sha := _library_hash(folder, row)) is not None}
    side = SweepSide(name, rows, measured, _networks(folder), libraries)
    return OpenSide(side, folder, is_copy=is_copy)


def _networks(folder: Path) -> dict[str, str]:
    try:
        models = models_in(read_plan(folder))
    except LedgerError:  # tables alone
        return {}
    return {name: str(model["sha256"]) for name, model in models.items() if model.get("sha256")}


def _library_hash(folder: Path, row: Mapping[str, Any]) -> str | None:
    """As the build has written it beside the library."""
    if not row.get("library"):
        return None
    try:
        metadata = parsed(((folder / row["library"]).parent / "metadata.json").read_bytes())
    except (OSError, ValueError):  # a copy of a store has no libraries
        return None
    sha256 = metadata.get("lib_sha256") if isinstance(metadata, Mapping) else None
    return str(sha256) if sha256 else None


def _of_bundle(manifest: Mapping[str, Any], name: str) -> SweepSide:
    """A sweep of one cell, of which one value is known."""
    latency, cell = manifest["latency"], Cell.of(manifest["axes"])
    conditions = latency.get("conditions", {})
    unchecked = None if manifest.get("output_check", {}).get("is_compared", True) else "no expected output"
    row = {
        **cell.axes,
        "cell_id": cell.id,
        "cell_name": cell.name,
        "status": "tainted" if latency.get("disturbed") else "done",
        "error": latency.get("disturbed"),
        **dict.fromkeys((f"latency_ms_{part}" for part in ("median", "ci_low", "ci_high")), latency["median_ms"]),
        "latency_bound": None if latency.get("disturbed") else EXACT,
    }
    host = ", ".join(filter(None, (conditions.get("host"), conditions.get("cpu_model")))) or None
    measured = MeasuredCell(
        cell_id=cell.id,
        name=cell.name,
        blocks=(Block((latency["median_ms"] / 1e3,), None),),
        device=latency["device"],
        host=host,
        is_stable=latency.get("is_stable"),
        kernel_ms=None,
        disturbed=latency.get("disturbed"),
        bound=None if latency.get("disturbed") else EXACT,
        unchecked=unchecked,
    )
    model, files = manifest["model"], manifest.get("files", {})
    networks = {model["name"]: model["sha256"]} if model.get("sha256") else {}
    libraries = {cell.id: files[manifest["library"]]} if manifest["library"] in files else {}
    return SweepSide(name, {cell.id: row}, {cell.id: measured}, networks, libraries)


def _holds_sweep(path: Path) -> bool:
    """Whether a zip file has a ledger, at its top or in its one folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _ledger_in(archive) is not None
    except _UNREADABLE:
        return False


def _ledger_in(archive: zipfile.ZipFile) -> str | None:
    return next((name for name in archive.namelist() if name == LEDGER or name.split("/")[1:] == [LEDGER]), None)


def _unpacked(path: Path, scratch: Path, key: str) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            check_unpacked(archive)
            ledger = _ledger_in(archive)
            archive.extractall(scratch)
    except _UNREADABLE as error:
        raise StudyError(f"cannot be read: {error}", key=key, value=str(path), allowed=_ALLOWED) from error
    assert ledger is not None
    folder = (scratch / ledger).parent
    SweepDir(folder).require_as(key, value=str(path), allowed=_ALLOWED)
    return folder
