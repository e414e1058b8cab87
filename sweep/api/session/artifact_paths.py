"""Finds the files of each cell of a sweep: its network, lowered module, tuning records and library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.files.sweep_dir import SweepDir
from sweep.planning.kinds import kind_of
from sweep.running.ledger.ledger import FinishedStage, read_ledger
from sweep.running.ledger.saved_plan import read_plan

__all__ = ["CellFiles", "FoundSweep", "cell_files", "sweeps_below"]


@dataclass(frozen=True, slots=True)
class CellFiles:
    """The files of one cell, as far as they exist."""

    name: str
    files: dict[str, Path]
    """network, lowered, records, library: as far as they were made, and are still there."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"cell": self.name, **{part: str(path) for part, path in self.files.items()}}


@dataclass(frozen=True, slots=True)
class FoundSweep:
    """A sweep directory among others."""

    folder: Path
    study: str
    status: str
    """done, failed, stopped or interrupted as its last run ended; running or lost where it has not ended."""


def cell_files(sweep_dir: Path | str) -> list[CellFiles]:
    """The files of each cell, in the order of the plan.

    Raises:
        LedgerError: the folder is not a sweep directory.
    """
    folder = Path(sweep_dir)
    done = read_ledger(folder).done
    return [
        CellFiles(cell["name"], dict(_files(folder, [done[stage] for stage in cell["stages"] if stage in done])))
        for cell in read_plan(folder)["cells"]
    ]


def sweeps_below(folder: Path | str) -> list[FoundSweep]:
    """The sweep directories right below a folder, by name. Raises nothing: what is damaged is left out."""
    sweeps = []
    for sweep in SweepDir.below(Path(folder)):
        try:
            state, plan = read_ledger(sweep.path), read_plan(sweep.path)
        except LedgerError:
            continue
        sweeps.append(FoundSweep(sweep.path, plan["study"], state.last_status or "running or lost"))
    return sweeps


def _files(sweep_dir: Path, stages: list[FinishedStage]) -> list[tuple[str, Path]]:
    files = []
    for stage in stages:
        folder = stage.result.files_dir
        leaves = kind_of(stage.kind).leaves
        if leaves and folder:
            path = sweep_dir / folder / stage.result.shown_file
            if path.exists():
                files.append((leaves, path))
    return files
