"""What must hold of a sweep after any accident, once the same command has been let to its end.

Every cell has one final row; whatever was recorded, in the ledger or in a log of trials, is in the tables, unchanged;
no stage that had ended well was attempted again; nothing is left on the machine.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sweep.analysis.outcome import MEASURED
from sweep.running.ledger.ledger import is_held
from sweep.running.ledger.lines import LineReader
from tests.devices.parts import until
from tests.end_to_end.place import LIMIT_S, Place

FINAL = {*MEASURED, "failed"}


@dataclass
class Witness:
    """Remembers what a sweep directory held, and whether it still does."""

    place: Place
    store: Path | None = None
    """MLflow's database, where its runs write to MLflow."""
    _ledger: bytes = b""
    _trials: Counter[str] = field(default_factory=Counter)
    pids: list[int] = field(default_factory=list)
    """Of the drivers that had no time to tidy up."""

    def look(self) -> None:
        """Remember what is there now, and see that what was there before still is."""
        ledger = _whole_lines(self.place.out / "ledger.jsonl")
        assert ledger.startswith(self._ledger), "the ledger has other lines than before"
        trials = Counter(self.place.trials())
        assert not self._trials - trials, "trials are gone"
        self._ledger, self._trials = ledger, trials

    def assert_nothing_runs(self) -> None:
        """Soon after a kill: nobody tidies up but the kernel and the processes themselves."""
        until(lambda: not self.place.processes(), "the end of all that the driver had started", LIMIT_S)
        assert not self.place.out.exists() or not is_held(self.place.out)

    def assert_whole(self, *, lost_lines: int = 0) -> None:
        """At the end, when a run has ended by itself. `lost_lines`: of the ledger, that a test has destroyed."""
        self.look()
        events = events_of(self.place.out)
        assert events[-1]["seq"] == len(events) + lost_lines
        _assert_done_once(events)
        cells = json.loads((self.place.out / "plan.json").read_text())["cells"]
        _assert_rows(self.place.out, cells)
        _assert_measured(self.place.out, cells, events)
        _assert_trials(self.place)
        if self.store is not None:
            _assert_mirrored(self.store, [cell["name"] for cell in cells])
        self.assert_nothing_runs()
        assert self.place.leftovers(self.pids) == []
        assert _half_done(self.place.out) == []


def events_of(sweep_dir: Path) -> list[dict[str, Any]]:
    """Of all whole lines, damaged ones put right."""
    lines = LineReader(sweep_dir / "ledger.jsonl")
    whole = [line for raw in (sweep_dir / "ledger.jsonl").open("rb") for line in lines.take(raw)]
    return [dict(line.event) for line in [*whole, *lines.end()]]


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def _assert_done_once(events: Sequence[dict[str, Any]]) -> None:
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    done: set[str] = set()
    for event in events:
        if event["event"] in ("attempt_started", "stage_done"):
            assert event["stage"] not in done, f"a finished stage again: {event}"
        if event["event"] == "stage_done":
            done.add(event["stage"])


def _assert_rows(sweep_dir: Path, cells: Sequence[dict[str, Any]]) -> None:
    rows = pd.read_parquet(sweep_dir / "results.parquet")
    assert sorted(rows.cell_id) == sorted(cell["id"] for cell in cells)
    assert set(rows.status) <= FINAL, Counter(rows.status)


def _assert_measured(sweep_dir: Path, cells: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> None:
    rows = pd.read_parquet(sweep_dir / "measurements.parquet")
    repeats = rows[rows.kind == "repeat"].groupby("cell_id").seconds.apply(sorted).to_dict()
    results = {event["stage"]: event["result"] for event in events if event["event"] == "stage_done"}
    expected = {
        cell["id"]: sorted(results[cell["stages"][-1]]["run_secs"]) for cell in cells if cell["stages"][-1] in results
    }
    assert repeats == expected
    assert expected, "a sweep without a measurement shows nothing"


def _assert_trials(place: Place) -> None:
    rows = pd.read_parquet(place.out / "tuning_records.parquet")
    logged = [json.loads(line) for line in place.trials()]
    in_table = Counter(zip(rows.workload, rows.trial, rows.t, strict=True))
    assert Counter((one["workload"], one["trial"], one["t"]) for one in logged) == in_table


def _assert_mirrored(store: Path, cells: Sequence[str]) -> None:
    """One ended run a cell, and the parent; by SQL, since a client takes seconds to load."""
    with closing(sqlite3.connect(store)) as connection:
        runs = connection.execute(
            "SELECT coalesce(tags.value, name), status FROM runs LEFT JOIN tags"
            " ON tags.run_uuid = runs.run_uuid AND tags.key = 'sweep.cell' WHERE lifecycle_stage = 'active'"
        ).fetchall()
    assert sorted(name for name, _ in runs) == sorted([*cells, "out"])
    assert {status for _, status in runs} <= {"FINISHED", "FAILED"}, Counter(status for _, status in runs)


def _half_done(sweep_dir: Path) -> list[str]:
    """Temporary siblings of files and folders, and what only a living driver has."""
    patterns = ("**/.*.part*", "**/*.part", "artifacts/*/.*", "records/*/*/candidates-*", "ledger.holder.json")
    return sorted(str(path) for pattern in patterns for path in sweep_dir.glob(pattern))
