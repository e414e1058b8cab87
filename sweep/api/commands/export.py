"""Writes a cell of a sweep as a bundle to ship: library, manifest, inputs, expected outputs, and code that runs it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.api.bundles.manifest import manifest_of
from sweep.api.bundles.source import cell_source
from sweep.api.bundles.writing import check_place, write_bundle
from sweep.api.bundles.zoo import Placed, lay_out_zoo
from sweep.api.commands.best import BestCell, best
from sweep.api.session.stored_sweep import fetched, is_uri
from sweep.api.session.table_cache import refresh
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.running.ledger.ledger import read_ledger

__all__ = ["Exported", "ExportedZoo", "export", "export_zoo"]


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of `sweep export`: a bundle, and the cell in it."""

    out: Path
    cell: BestCell
    manifest: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"out": str(self.out), "manifest": self.manifest}

    def as_text(self) -> str:
        """For people."""
        latency, cpu = self.manifest["latency"], self.manifest["cpu"]
        needs = ", ".join(cpu["features"]) or "nothing more"
        package = f"apache-tvm {self.manifest['versions']['apache-tvm']}"
        run = "unzip it, then: python run.py" if self.out.suffix == ".zip" else f"python {self.out / 'run.py'}"
        lines = [
            f"{self.cell.row['cell_name']}: {self.cell.how}, {latency['text']}",
            f"needs: {cpu['architecture']} with {needs}; {package} and numpy",
            f"in {self.out}; {run}",
        ]
        check = self.manifest["output_check"]
        if not check["is_compared"]:
            lines.insert(1, f"not checked: its outputs were compared with nothing: {check['reason']}")
        if latency["disturbed"]:
            lines.insert(1, f"disturbed: {latency['disturbed']}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ExportedZoo:
    """The result of `sweep export --zoo`."""

    networks: list[Placed]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"networks": [{**asdict(one), "folder": str(one.folder), "rate": one.rate} for one in self.networks]}

    def as_text(self) -> str:
        """For people."""
        return "\n".join(
            f"{one.folder}: {one.weights:,} weights, {one.rate:.1%} of them zero or gone" for one in self.networks
        )


def export_zoo(
    sweep_dir: Path | str,
    root: Path | str,
    *,
    model: str | None = None,
    domain: str | None = None,
    task: str | None = None,
) -> ExportedZoo:
    """Write the networks of a sweep into a zoo: `root/<domain>/<task>/<model>/{original | <date>_sp<rate>_<HxW>}/`.

    domain, task: by default the study's tags of these names. A study may name such a folder as a model.

    Raises:
        StudyError: neither says so, or a file of a network is missing or damaged.
        RecordError: the sweep has no tables.
    """
    folder, place = _here(sweep_dir), Path(root)
    SweepDir(folder).require_as("DIR")
    refresh(folder)
    try:
        return ExportedZoo(lay_out_zoo(folder, place, model=model, domain=domain, task=task))
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--zoo", value=str(root)) from error


def export(
    sweep_dir: Path | str,
    cell: str | None = None,
    *,
    out: Path | str,
    model: str | None = None,
    device: str | None = None,
) -> Exported:
    """Write a cell of a sweep as a bundle to ship; which cell, as `best` says.

    sweep_dir: a sweep directory, or the URI of one, whose libraries and networks are fetched.
    out: a new folder, an empty one, or a former bundle, which it replaces; a name that ends in .zip gives a file.

    Raises:
        StudyError: as `best`; a file of the cell is missing or damaged; or something else is at `out`.
    """
    place = Path(out).absolute()
    check_place(place)
    folder = _here(sweep_dir)
    chosen = best(folder, cell, model=model, device=device)
    source = cell_source(folder, chosen.row["cell_id"])
    versions = read_ledger(folder).conditions.get("versions", {})
    manifest = manifest_of(chosen.row, source, chosen.as_dict(), versions)
    try:
        write_bundle(place, manifest, source)
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--out", value=str(out)) from error
    return Exported(Path(out), chosen, manifest)


def _here(sweep_dir: Path | str) -> Path:
    is_stored = isinstance(sweep_dir, str) and is_uri(sweep_dir)
    return fetched(str(sweep_dir), is_whole=True) if is_stored else Path(sweep_dir)
