"""Says which cell of a sweep is to be shipped: the fastest of a model on a device, where that is certain."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.analysis.comparing.comparison import find_cell
from sweep.analysis.formatting import as_ms, as_times
from sweep.analysis.rows.duels import may_be_below
from sweep.analysis.rows.objective_fit import fulfils, objective_of
from sweep.analysis.rows.runtime_rows import RuntimeRatio, group_key, is_compiled_row, measured, runtime_title
from sweep.analysis.rows.unchecked import is_unchecked, left_out
from sweep.analysis.statistics import Verdict
from sweep.api.bundles.limits import within_limits
from sweep.api.commands.compare import compare
from sweep.api.session.table_cache import refresh
from sweep.errors import RecordError, StudyError
from sweep.files.confined import OutsideFolder, below
from sweep.files.sweep_dir import SweepDir
from sweep.study.axes import axis_names, compared_within, value_in
from sweep.study.selection import parse_selection, select
from sweep.study.spec import Cell
from sweep.suggestions import hint, listed

__all__ = ["BestCell", "Compared", "best"]

Row = Mapping[str, Any]
_LISTED = 6


@dataclass(frozen=True, slots=True)
class Compared:
    """Another cell of the group, and how the chosen one stands to it."""

    cell: str
    cell_id: str
    runtime: str
    status: str
    latency_ms_median: float | None
    ratio: float | None
    """The chosen one's median over this one's: below 1, the chosen one is faster."""
    verdict: str | None
    """Of `sweep compare`, where the intervals of the two medians meet or something disturbed either."""


@dataclass(frozen=True, slots=True)
class BestCell:
    """The cell to ship."""

    sweep_dir: Path
    row: Row
    """Of results.parquet."""
    how: str
    """How it was chosen, in words."""
    compared: tuple[Compared, ...]
    """All other cells of its model, batch and device."""

    @property
    def library(self) -> Path | None:
        """Its library; None where nothing was built. Raises RecordError for one outside the sweep directory."""
        if not self.row.get("library"):
            return None
        try:
            return below(self.sweep_dir, self.row["library"])
        except OutsideFolder as error:
            table = SweepDir(self.sweep_dir).table("results")
            raise RecordError(f"{table}: library {self.row['library']!r} {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cell": self.row["cell_name"],
            "cell_id": self.row["cell_id"],
            "study": self.row["study"],
            "axes": {axis: value_in(self.row, axis) for axis in axis_names()},
            "how": self.how,
            "compared_with": [asdict(each) for each in self.compared],
        }


def best(
    sweep_dir: Path | str, cell: str | None = None, *, model: str | None = None, device: str | None = None
) -> BestCell:
    """The compiled cell of a sweep to ship: the fastest, where that is certain, or the one that is named.

    cell: its name, its id or the beginning of it, words of its name, or a selection such as `tuner=xgb,batch=1`, among
    whose cells the fastest is chosen. model, device: where the sweep has several.

    Raises:
        StudyError: several models or devices are meant, or another cell may be faster; it says what tells.
        RecordError: the sweep has no tables.
    """
    from sweep.record.parquet_tables import read_results

    folder = Path(sweep_dir)
    SweepDir(folder).require_as("DIR")
    refresh(folder)
    rows = read_results(folder).to_pylist()
    asked = _of(_of(rows, "model", model), "device", device)
    if cell is None:
        return _chosen(folder, rows, asked)
    meant = _meant(asked, cell)
    if len(meant) > 1:
        return _chosen(folder, rows, meant)
    return _named(folder, rows, meant[0])


def _of(rows: Sequence[Row], axis: str, value: str | None) -> Sequence[Row]:
    if value is None:
        return rows
    found = [row for row in rows if row[axis] == value]
    if not found:
        there = sorted({row[axis] for row in rows})
        raise StudyError(
            f"is no {axis} of this sweep{hint(value, there)}", key=f"--{axis}", value=value, allowed=listed(there)
        )
    return found


def _meant(rows: Sequence[Row], cell: str) -> Sequence[Row]:
    is_selection = "=" in cell and not any(cell == row["cell_name"] for row in rows)
    if not is_selection:
        return [find_cell(rows, cell)]
    found = select([Cell.of(row) for row in rows], parse_selection(cell, "CELL"))
    return [rows[index] for index in found]


def _named(folder: Path, rows: Sequence[Row], row: Row) -> BestCell:
    if not is_compiled_row(row):
        raise StudyError(
            f"is run by {runtime_title(row)}, which has no library to export",
            key="CELL",
            value=row["cell_name"],
            allowed="a cell that TVM compiles",
        )
    if row["latency_ms_median"] is None:
        problem = f"was not measured: it is {row['status']}"
        raise StudyError(problem, key="CELL", value=row["cell_name"], allowed="a cell that is done or tainted")
    return BestCell(folder, row, "named by its user", tuple(_compared(folder, rows, row)))


def _chosen(folder: Path, rows: Sequence[Row], asked: Sequence[Row]) -> BestCell:
    """The fastest of `asked`; `rows`: all of the sweep."""
    compiled = [row for row in asked if is_compiled_row(row)]
    if not compiled:
        titles = sorted({runtime_title(row) for row in asked})
        raise StudyError(
            f"has no cell to export: {listed(titles)} ran all of them",
            key="DIR",
            value=str(folder),
            allowed="a sweep with cells that TVM compiles",
        )
    _check_one_group(folder, compiled)
    compiled = within_limits(folder, compiled)
    row, others = _leader(folder, compiled)
    for other in others:
        _check_decided(folder, row, other)
    _check_other_runtimes(folder, rows, row)
    compared = tuple(_compared(folder, rows, row))
    count = len(compiled)
    where = f"of {row['model']} on {row['device']}"
    where += " within the limits of the objective" if objective_of(row) is not None else ""
    how = f"the fastest of {count} compiled cells {where}" if count > 1 else f"the only compiled cell {where}"
    return BestCell(folder, row, how, compared)


def _check_one_group(folder: Path, compiled: Sequence[Row]) -> None:
    groups = dict.fromkeys(map(group_key, compiled))
    if len(groups) == 1:
        return
    varying = [axis for index, axis in enumerate(compared_within()) if len({group[index] for group in groups}) > 1]
    shown = [" on ".join(map(str, (row["model"], row["device"]))) for row in compiled]
    options = [f"--{axis}" for axis in varying if axis in ("model", "device")]
    further = [f"{axis}=VALUE" for axis in varying if axis not in ("model", "device")]
    ways = " and ".join([*options, *([f"{','.join(further)} as CELL"] if further else [])])
    where = listed(dict.fromkeys(shown), _LISTED)
    raise StudyError(
        f"has cells to choose for {len(groups)} combinations of {listed(varying)} ({where})",
        key="DIR",
        value=str(folder),
        allowed=f"{ways}, or one CELL",
    )


def _leader(folder: Path, compiled: Sequence[Row]) -> tuple[Row, list[Row]]:
    """The fastest undisturbed cell, and those that may be as fast; where these were compared since, by what was found.

    Cells that were never tried are among them.
    """
    row = min(measured(compiled), key=lambda row: float(row["latency_ms_median"]), default=None)
    if row is None and (without := left_out(compiled)):
        raise StudyError(
            f"has no cell that is known to be right: {without}",
            key="DIR",
            value=str(folder),
            allowed="a CELL by name, if an unchecked one will do",
        )
    if row is None:
        statuses = listed(sorted({row["status"] for row in compiled}))
        raise StudyError(
            f"has no cell that was measured undisturbed: they are {statuses}",
            key="DIR",
            value=str(folder),
            allowed="a CELL by name, if a disturbed one will do",
        )
    for _ in compiled:  # each turn finds another, and there are no more
        open_ = [other for other in compiled if other is not row and _may_be_faster(row, other)]
        faster = [other for other in open_ if _verdict(folder, row, other) is Verdict.SLOWER]
        if not faster:
            return row, open_
        row = faster[0]
    return row, []


def _may_be_faster(row: Row, other: Row) -> bool:
    """Whether nothing measured says that `other` is slower. A cell that failed has no library, and nobody
    knows what one gives whose outputs were compared with nothing, however fast.
    """
    if is_unchecked(other):
        return False
    return other["status"] != "failed" and may_be_below(other, row)


def _check_decided(folder: Path, row: Row, other: Row) -> None:
    """Raises StudyError where `other` may be faster than `row`, for all that is known."""
    export = shlex.join(["sweep", "export", str(folder), row["cell_name"], "--out", "FOLDER"])
    if other["status"] in ("pending", "skipped"):
        raise StudyError(
            f"has cells that were not tried yet, such as {other['cell_name']!r}",
            key="DIR",
            value=str(folder),
            allowed=f"the rest of the sweep by `sweep run`, or the best so far as it is: `{export}`",
        )
    if _verdict(folder, row, other) is not Verdict.AMBIGUOUS:
        return
    why = "was disturbed, and may be faster" if other["status"] == "tainted" else "cannot be told apart from it"
    names = [row["cell_name"], other["cell_name"]]
    closes = shlex.join(["sweep", "compare", str(folder), *names, "--measure-more"])
    raise StudyError(
        f"has no cell that is the fastest for certain: {names[0]!r} is at {as_ms(row['latency_ms_median'])} ms, "
        f"and {names[1]!r} {why}",
        key="DIR",
        value=str(folder),
        allowed=f"`{closes}` first, or this cell as it is: `{export}`",
    )


def _check_other_runtimes(folder: Path, rows: Sequence[Row], row: Row) -> None:
    """Raises StudyError where another runtime is faster there, beyond doubt."""
    there = (other for other in measured(rows) if not is_compiled_row(other) and group_key(other) == group_key(row))
    others = filter(fulfils, there)
    faster = [ratio for ratio in (RuntimeRatio(row, other) for other in others) if ratio.is_behind]
    if faster:
        first = max(faster, key=lambda ratio: ratio.ratio)
        export = shlex.join(["sweep", "export", str(folder), row["cell_name"], "--out", "FOLDER"])
        raise StudyError(
            f"has nothing compiled that is as fast as {first.against_title}, which takes "
            f"{as_ms(first.against['latency_ms_median'])} ms where {row['cell_name']!r} takes "
            f"{as_ms(row['latency_ms_median'])} ms ({as_times(first.ratio)})",
            key="DIR",
            value=str(folder),
            allowed=f"another runtime has no library to export; the compiled cell all the same: `{export}`",
        )


def _verdict(folder: Path, row: Row, other: Row) -> Verdict:
    """AMBIGUOUS also where the two cannot be compared: one was not measured, or on another host."""
    try:
        return compare(folder, row["cell_id"], other["cell_id"]).found.verdict
    except StudyError:
        return Verdict.AMBIGUOUS


def _compared(folder: Path, rows: Sequence[Row], row: Row) -> Iterator[Compared]:
    for other in rows:
        if other is row or group_key(other) != group_key(row):
            continue
        median_ms = other["latency_ms_median"]
        is_unclaimed = is_unchecked(row) or is_unchecked(other)
        is_near = median_ms is not None and _may_be_faster(row, other) and may_be_below(row, other)
        yield Compared(
            other["cell_name"],
            other["cell_id"],
            other["runtime"],
            other["status"],
            median_ms,
            row["latency_ms_median"] / median_ms if median_ms and not is_unclaimed else None,
            str(_verdict(folder, row, other)) if is_near else None,
        )
