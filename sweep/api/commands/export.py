"""Writes a cell of a sweep as a bundle to ship: library, manifest, inputs, expected outputs, and code that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.api.bundles.manifest import manifest_of
from sweep.api.bundles.source import cell_source
from sweep.api.bundles.writing import check_place, write_bundle
from sweep.api.commands.best import BestCell, best
from sweep.errors import StudyError
from sweep.running.ledger.ledger import read_ledger

__all__ = ["Exported", "export"]


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


def export(
    sweep_dir: Path | str,
    cell: str | None = None,
    *,
    out: Path | str,
    model: str | None = None,
    device: str | None = None,
) -> Exported:
    """Write a cell of a sweep as a bundle to ship; which cell, as `best` says.

    out: a new folder, an empty one, or a former bundle, which it replaces; a name that ends in .zip gives a file.

    Raises:
        StudyError: as `best`; a file of the cell is missing or damaged; or something else is at `out`.
    """
    place = Path(out).absolute()
    check_place(place)
    chosen = best(sweep_dir, cell, model=model, device=device)
    folder = Path(sweep_dir)
    source = cell_source(folder, chosen.row["cell_id"])
    versions = read_ledger(folder).conditions.get("versions", {})
    manifest = manifest_of(chosen.row, source, chosen.as_dict(), versions)
    try:
        write_bundle(place, manifest, source)
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--out", value=str(out)) from error
    return Exported(Path(out), chosen, manifest)
