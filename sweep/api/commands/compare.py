"""Compares two cells of a sweep, or two sweeps: by their tables, or by further measurements where these do not tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from sweep.analysis.comparing.comparison import CellComparison, compare_cells, find_cell
from sweep.analysis.comparing.measured_cell import MeasuredCell, PairedBlocks
from sweep.api.comparing.sweep_dirs import compare_sweep_dirs
from sweep.api.session.table_cache import refresh
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.running.ledger.ledger import read_ledger

if TYPE_CHECKING:
    from sweep.analysis.comparing.shared_cells import SweepComparison
    from sweep.study.cluster.cluster import Cluster

__all__ = ["MINUTES", "compare", "compare_more"]

MINUTES = 10.0
"""To measure more, by default."""


@overload
def compare(sweep_dir: Path | str, first: str, second: str, *, across_hosts: bool = False) -> CellComparison: ...


@overload
def compare(
    sweep_dir: Path | str,
    first: Path | str,
    second: None = None,
    *,
    across_hosts: bool = False,
    fail_on: str | None = None,
    only: str | None = None,
) -> SweepComparison: ...


def compare(
    sweep_dir: Path | str,
    first: Path | str,
    second: str | None = None,
    *,
    across_hosts: bool = False,
    fail_on: str | None = None,
    only: str | None = None,
) -> CellComparison | SweepComparison:
    """Is the cell `first` of a sweep faster than `second`? Or, of two sweeps, what of the second (`first`) is faster or
    slower than in the one before it: `compare("sweeps/main", "sweeps/change", fail_on="slower > 5%").verdict`.

    A cell is meant by its name, by its id or the beginning of it, or by words of its name that no other has all of.

    Raises:
        RecordError: the sweep has no tables.
        StudyError: a cell is not there or has no measurement, both are one, or they were measured on different hosts.
    """
    if second is None:
        return compare_sweep_dirs(sweep_dir, first, across_hosts=across_hosts, fail_on=fail_on, only=only)
    folder = Path(sweep_dir)
    refresh(folder)
    first_cell, second_cell = _measured(folder, str(first)), _measured(folder, second)
    if first_cell.cell_id == second_cell.cell_id:
        raise StudyError("is the first one again", key="CELL", value=second, allowed="two cells")
    pairs = read_ledger(folder).pairs if SweepDir(folder).is_sweep else []
    return compare_cells(
        first_cell, second_cell, across_hosts, PairedBlocks.of(pairs, first_cell.cell_id, second_cell.cell_id)
    )


def compare_more(
    sweep_dir: Path | str,
    first: str,
    second: str,
    cluster: Cluster,
    *,
    minutes: float = MINUTES,
    across_hosts: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> CellComparison:
    """The same; while the answer is AMBIGUOUS and there are minutes left, both are measured in turns on their devices.

    What is measured goes to the ledger pair by pair, so an interruption loses one pair, and a second call goes on from
    there. `say` is told what is loaded, and of each look.

    Raises:
        StudyError: as `compare`; or a device is not in the cluster file.
        LedgerError: a run has the sweep.
        SweepError: a measurement failed.
    """
    from sweep.api.commands.measure_more import Pairing

    folder = Path(sweep_dir)
    comparison = compare(folder, first, second, across_hosts=across_hosts)
    if comparison.is_decided or comparison.first.unchecked or comparison.second.unchecked:
        return comparison  # of the last no measurement makes a claim
    with Pairing(folder, (comparison.first, comparison.second), cluster, minutes, say) as pairing:
        has_time, last_look = True, ""
        while has_time and not comparison.is_decided:
            has_time = pairing.measure(comparison.pairs_wanted)
            comparison = compare(folder, first, second, across_hosts=across_hosts)
            # The same again after a pair that was set aside
            if comparison.paired is not None and (look := comparison.as_look()) != last_look:
                say(look)
                last_look = look
    return comparison


def _measured(folder: Path, wanted: str) -> MeasuredCell:
    import pyarrow.compute as pc

    from sweep.record.parquet_tables import read_measurements, read_results

    row: dict[str, Any] = dict(find_cell(read_results(folder).to_pylist(), wanted))
    is_its_own = pc.field("cell_id") == pc.scalar(row["cell_id"])
    return MeasuredCell.of(row, read_measurements(folder).filter(is_its_own).to_pylist())
