"""Which tuned cells an overlay is of: one network, lowered alike, on each device for one target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.api.session.table_cache import readable_table
from sweep.errors import RecordError, StudyError
from sweep.files.confined import relative
from sweep.files.sweep_dir import SweepDir
from sweep.study.axes import axes_of_layers, value_in
from sweep.study.selection import parse_selection, select
from sweep.study.spec import Cell
from sweep.suggestions import hint, listed
from sweep.toolchain.tuning.records.overlay_records import ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Asked", "Choice", "check_name", "choose"]

_OPTIONS = {"model": "--model", "opt_level": "--opt-level"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of a folder is meant."""

    keys: Sequence[str] | None = None
    """Devices, in the order in which they are shown; None: all that have records."""
    model: str | None = None
    opt_level: int | None = None
    only: str | None = None
    """Cells by globs of their axes, as `sweep run --only` takes them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The selection that a person meant: its devices, the tuned cells of each, and the records of its target."""

    devices: Sequence[str]
    tasks: pa.Table | None
    """Rows of tuning_tasks.parquet; None for imported logs, which know of no network."""
    axes: Mapping[str, Any]
    """The value of each axis on which the cells agree; empty for imported logs."""
    cell_of: Mapping[str, str]
    """By device: the id of one of its cells."""
    target_of: Mapping[str, str]
    """By device: name of its target's folder of records."""
    tuners: frozenset[str]

    def of(self, records: pa.Table) -> pa.Table:
        """The rows of tuning_records.parquet that are meant."""
        if self.tasks is None:
            return records
        import pyarrow.compute as pc

        folder = pc.list_element(pc.split_pattern(records["log"], "/", max_splits=2), 1)
        wanted = pc.is_in(records["tuner"], value_set=_texts([*self.tuners, ORIGIN]))
        folders = [f"{target}/{device}" for device, target in self.target_of.items()]
        there = pc.is_in(pc.binary_join_element_wise(folder, records["device"], "/"), value_set=_texts(folders))
        return records.filter(pc.and_(wanted, there))


def choose(folder: Path, records: pa.Table, asked: Asked) -> Choice:
    """Find what is meant.

    Raises:
        StudyError: it is not there, or several things are meant, of which an overlay takes one.
    """
    if not SweepDir(folder).table("tasks").is_file():
        return _of_logs(records, asked)
    rows = readable_table(folder, "tasks").to_pylist()
    rows = _meant(rows, asked)
    axes = {axis: _one(rows, axis) for axis in axes_of_layers()}
    there = list(dict.fromkeys(row["device"] for row in rows))
    for key in asked.keys or ():
        check_name(key, there, "--keys")
    devices = list(asked.keys) if asked.keys is not None else sorted(there)
    rows = [row for row in rows if row["device"] in devices]
    import pyarrow as pa

    return Choice(
        devices=devices,
        tasks=pa.Table.from_pylist(rows),
        axes=axes,
        cell_of={row["device"]: row["cell_id"] for row in rows},
        target_of={device: _target_of(rows, device) for device in devices},
        tuners=frozenset(row["tuner"] for row in rows),
    )


def check_name(name: str, there: Iterable[str], key: str) -> None:
    """Raises StudyError for a name that is not there."""
    known = list(there)
    if name not in known:
        raise StudyError(f"is not there{hint(name, known)}", key=key, value=name, allowed=listed(known))


def _of_logs(records: pa.Table, asked: Asked) -> Choice:
    for key, value in (("--model", asked.model), ("--opt-level", asked.opt_level), ("--only", asked.only)):
        if value is not None:
            raise StudyError("names no model here", key=key, value=value, allowed="a sweep's folder, not logs")
    there = sorted({str(key) for key in records["device"].unique().to_pylist() if key is not None})
    for key in asked.keys or ():
        check_name(key, there, "--keys")
    return Choice(list(asked.keys) if asked.keys is not None else there, None, {}, {}, {}, frozenset())


def _meant(rows: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    if not rows:
        raise StudyError("has no tuned cell", key="DIR", allowed="a sweep with tuned cells")
    for axis, value in (("model", asked.model), ("opt_level", asked.opt_level)):
        if value is not None:
            check_name(str(value), sorted({str(row[axis]) for row in rows}), _OPTIONS[axis])
            rows = [row for row in rows if row[axis] == value]
    if asked.only is None:
        return rows
    cells = [Cell.of(row) for row in rows]
    return [rows[index] for index in select(cells, parse_selection(asked.only))]


def _one(rows: Sequence[Mapping[str, Any]], axis: str) -> Any:
    values = sorted({value_in(row, axis) for row in rows})
    if len(values) > 1:
        key = _OPTIONS.get(axis, f"--only {axis}=")
        raise StudyError(f"is needed: there are several {_plural(axis)}", key=key, allowed=listed(values))
    return values[0]


def _target_of(rows: Sequence[Mapping[str, Any]], device: str) -> str:
    found = {_target_folder(row["records_dir"]): str(row["target"]) for row in rows if row["device"] == device}
    if len(found) > 1:
        problem = f"is needed: {device} was tuned for several targets"
        raise StudyError(problem, key="--only target=", allowed=listed(sorted(found.values())))
    return next(iter(found))


def _target_folder(records_dir: object) -> str:
    try:
        _, target, *_ = relative(records_dir).parts
    except ValueError as error:
        raise RecordError(f"the tables name a folder of records {records_dir!r}: {error}") from None
    return target


def _plural(axis: str) -> str:
    return {"batch": "batches"}.get(axis, f"{axis.replace('_', ' ')}s")


def _texts(values: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    return pa.array(list(values), pa.string())
