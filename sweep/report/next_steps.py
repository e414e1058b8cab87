"""What to do with the best cell of each model on each device: where its library lies, and commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sweep.analysis.answering.best_words import AGAIN, RETRY_FAILED, RETRY_TAINTED, configuration, work
from sweep.analysis.answering.standing import Best
from sweep.analysis.rows.duels import is_below
from sweep.analysis.rows.unchecked import is_unchecked
from sweep.plain_text import visible

__all__ = ["DIR", "NextSteps", "next_steps"]

Row = Mapping[str, Any]
DIR = "DIR"
"""What stands for the sweep directory where its path is not known."""
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class NextSteps:
    """Those of one model on one device."""

    where: str
    how: str
    """What was chosen there."""
    library: str
    """File of the compiled network, empty where nothing was compiled."""
    commands: Sequence[tuple[str, str]]
    """What each does, and how it is typed."""


def next_steps(best: Sequence[Best], sweep_dir: str = DIR) -> list[NextSteps]:
    """Of the first few, in their order."""
    sweep_dir = f"./{sweep_dir}" if sweep_dir.startswith("-") else sweep_dir  # no option
    return [_steps(one, sweep_dir) for one in best[:_SHOWN]]


def _steps(best: Best, sweep_dir: str) -> NextSteps:
    library = best.row.get("library") or ""
    return NextSteps(
        where=", ".join([f"{best.model} on {best.device}", *work(best.row)]),
        how=configuration(best.row),
        library=f"{sweep_dir}/{library}" if library else "",
        commands=list(_commands(best, library, sweep_dir)),
    )


def _commands(best: Best, library: str, sweep_dir: str) -> Iterator[tuple[str, str]]:
    cell = cell_argument(best.row)
    if library:
        yield "ship it", _typed("sweep", "export", sweep_dir, cell, "--out", "bundle.zip")
    if (other := _to_compare(best)) is not None:
        more = [] if is_below(best.row, other) or is_below(other, best.row) else ["--measure-more"]
        yield "compare it", _typed("sweep", "compare", sweep_dir, cell, cell_argument(other), *more)
    if library:
        yield "measure it again", _typed("sweep", "exec", f"{sweep_dir}/{PurePosixPath(library).parent}")
    statuses = {row["status"] for row in best.still_open}
    if statuses:
        words = RETRY_FAILED if "failed" in statuses else RETRY_TAINTED if "tainted" in statuses else AGAIN
        yield "close what is open", words.replace("`", "")


def cell_argument(row: Row) -> str:
    """A cell as commands take it: its name, or its id where the name could not be typed."""
    name = str(row["cell_name"])
    is_typed = visible(name) == name and not name.startswith("-")
    return name if is_typed else str(row["cell_id"])


def _to_compare(best: Best) -> Row | None:
    """The least median of all others there that a claim can be made of."""
    claimed = (row for row in best.group if row is not best.row and not is_unchecked(row))
    others = [row for row in claimed if row["latency_ms_median"] is not None]
    return min(others, key=lambda row: float(row["latency_ms_median"]), default=None)


def _typed(*words: str) -> str:
    """As a shell takes it, whatever others named."""
    return shlex.join(words)
