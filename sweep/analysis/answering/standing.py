"""What is certain among cells that can be compared, and what is open: which to name, what ties with it. Pure.

A cell that nothing disturbed has an interval; one that could only be slowed has an upper end; any other may be
anything. Sentence, cards, marks, pictures, MLflow and JSON take their best cell from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sweep.analysis.answering.predicted import is_predicted_slower
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.duels import duel_of, is_below, leader_of, may_be_below, took_part
from sweep.analysis.rows.objective_fit import fit_of, fulfils, is_in_the_running
from sweep.analysis.rows.runtime_rows import (
    GroupKey,
    RuntimeRatio,
    group_key,
    has_compiled,
    is_compiled_row,
    is_refused,
    measured,
)
from sweep.analysis.rows.unchecked import is_unchecked
from sweep.study.axes import axis_names, value_in

__all__ = ["Best", "Standing", "best_cells", "is_tuned", "marks"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the cells of a group stand to one of them."""

    row: Row
    ties: tuple[Row, ...]
    """Cells that may be as fast: a final did not tell them apart, or the interval of an undisturbed one reaches below
    the upper end of this one's."""
    open: tuple[Row, ...]
    """Cells that no final compared with it, and that nothing measured undisturbed: each may yet be faster. Not those
    whose outputs nothing was compared with, which no further measurement can let lead, nor those that were skipped
    because they are predicted slower, nor those whose runtime refuses the network."""

    @classmethod
    def of(cls, row: Row, rows: Iterable[Row]) -> Self:
        """How `rows`, which may hold `row` itself, stand to it."""
        others = [other for other in rows if other is not row and not is_unchecked(other) and not is_refused(other)]
        known = [other for other in others if Reading.of(other).is_exact or duel_of(other, row) is not None]
        return cls(
            row,
            tuple(other for other in known if may_be_below(other, row)),
            tuple(
                other
                for other in others
                if not any(other is one for one in known) and not is_predicted_slower(other, Reading.of(row).high_ms)
            ),
        )

    @property
    def is_certain(self) -> bool:
        """Whether it is the fastest, beyond doubt."""
        is_known = Reading.of(self.row).is_exact or took_part(self.row)
        return is_known and not self.ties and not self.open


@dataclass(frozen=True, slots=True)
class Best:
    """The fastest cell of a model on a device at one batch, as far as is known.

    Compiled cells compete with each other, and other runtimes are what the winner is held against. In a sweep that
    compiles nothing the runtimes themselves compete.
    """

    model: str
    batch: int | None
    device: str
    row: Row
    """The fastest of the final; without one undisturbed, or faster than the fastest undisturbed one beyond doubt."""
    group: tuple[Row, ...]
    """All cells there, whichever runtime's, but those that do not keep the limits of an objective."""
    competitors: tuple[Row, ...]
    """Of these, what the row competes with, itself included."""
    rivals: tuple[RuntimeRatio, ...]
    """Against the fastest of each other runtime that was measured there, the baseline first: of those that break no
    limit of an objective, where there are any.
    """
    alike: RuntimeRatio | None = None
    """Against the baseline's fastest in its own precision that breaks no limit, where its rival is in another one."""

    @property
    def reading(self) -> Reading:
        """Of the row."""
        return Reading.of(self.row)

    @property
    def is_by_final(self) -> bool:
        """Whether a final has named it."""
        return took_part(self.row)

    @property
    def own(self) -> Standing:
        """Among what it competes with."""
        return Standing.of(self.row, self.competitors)

    @property
    def overall(self) -> Standing:
        """Among all that is there."""
        return Standing.of(self.row, self.group)

    @property
    def still_open(self) -> tuple[Row, ...]:
        """All that may yet turn out to be faster than what is known now; itself where it was disturbed."""
        is_known = self.reading.is_exact or self.is_by_final
        return self.overall.open if is_known else (self.row, *self.overall.open)

    @property
    def ties(self) -> int:
        """Other cells of its runtime that cannot be told apart from it."""
        return sum(row["runtime"] == self.row["runtime"] for row in self.own.ties)

    @property
    def known_ms(self) -> float:
        """Its median; of a disturbed one what it takes at most."""
        return self.reading.median_ms if self.reading.is_exact else self.reading.high_ms

    @property
    def undisturbed(self) -> Standing | None:
        """Of a disturbed row that no final has named: the fastest undisturbed competitor, which it beats. None where
        there is none.
        """
        if self.is_by_final:
            return None
        fastest = min(measured(self.competitors), key=lambda row: float(row["latency_ms_median"]), default=None)
        return None if fastest is None or fastest is self.row else Standing.of(fastest, self.competitors)

    @property
    def also_faster(self) -> tuple[Row, ...]:
        """Of a disturbed row: the other disturbed competitors that beat the fastest undisturbed one as well."""
        beaten = self.undisturbed
        if self.reading.is_exact or beaten is None:
            return ()
        to_beat = Reading.of(beaten.row)
        return tuple(row for row in self.own.open if Reading.of(row).is_below(to_beat))

    @property
    def to_ship(self) -> Standing | None:
        """The cell of another runtime that is faster than the row, beyond doubt; None where there is none."""
        own = {id(row) for row in self.competitors}
        faster = [row for row in self.group if id(row) not in own and is_below(row, self.row)]
        fastest = leader_of(faster)
        return None if fastest is None else Standing.of(fastest, self.group)

    @property
    def against_untuned(self) -> RuntimeRatio | None:
        """A tuned cell against the untuned one at the same other axes, where both are known."""
        if not is_compiled_row(self.row) or not is_tuned(self.row):
            return None
        key = _but_for_tuner(self.row)
        untuned = (row for row in self.competitors if not is_tuned(row) and _but_for_tuner(row) == key)
        found = next((row for row in untuned if Reading.of(row).bound is not None), None)
        return None if found is None else RuntimeRatio(self.row, found)

    @property
    def against_baseline(self) -> RuntimeRatio | None:
        """None where the baseline was not measured, or is its own runtime."""
        return next((rival for rival in self.rivals if rival.is_to_baseline), None)

    @property
    def worth_naming(self) -> list[RuntimeRatio]:
        """The baseline, and each other runtime that is faster or cannot be told apart from it."""
        return [rival for rival in self.rivals if rival.is_to_baseline or rival.is_behind or rival.is_tied]


def best_cells(rows: Sequence[Row]) -> list[Best]:
    """One for each (model, batch, device) of which anything is known, in the order of the rows.

    Where there are further axes that say what is to be done, one for each of their values. Where the study has an
    objective, of cells that are known to keep its limits, and none where no cell does.
    """
    compiles = has_compiled(rows)
    groups: dict[GroupKey, list[Row]] = {}
    for row in rows:
        groups.setdefault(group_key(row), []).append(row)
    found = (_best(tuple(group), compiles) for group in groups.values())
    return [best for best in found if best is not None]


def marks(rows: Sequence[Row]) -> dict[str, str]:
    """What a table says of cells that lead, by their ids: `best`; `best so far` while something is open; `faster` of a
    disturbed one that beats the best undisturbed one.
    """
    found: dict[str, str] = {}
    for best in best_cells(rows):
        if best.reading.is_exact or best.is_by_final:
            found[best.row["cell_id"]] = "best so far" if best.own.open else "best"
        elif best.undisturbed is not None:
            found |= dict.fromkeys((row["cell_id"] for row in (best.row, *best.also_faster)), "faster")
    return found


def _best(group: tuple[Row, ...], compiles: bool) -> Best | None:
    """`compiles`: whether the sweep compiles anything, which then competes."""
    admitted = tuple(row for row in group if is_in_the_running(row))
    competitors = tuple(row for row in admitted if is_compiled_row(row) or not compiles)
    row = leader_of([row for row in competitors if fulfils(row)])
    if row is None:
        return None
    runtimes = dict.fromkeys(other["runtime"] for other in group if other["runtime"] != row["runtime"])
    leaders = (_rival([other for other in group if other["runtime"] == runtime]) for runtime in runtimes)
    rivals = [RuntimeRatio(row, leader) for leader in leaders if leader is not None]
    return Best(
        model=row["model"],
        batch=row["batch"],
        device=row["device"],
        row=row,
        group=admitted,
        competitors=competitors,
        rivals=tuple(sorted(rivals, key=lambda rival: not rival.is_to_baseline)),
        alike=_alike(row, group, rivals),
    )


def _rival(of_runtime: Sequence[Row]) -> Row | None:
    """What a cell is held against: the fastest that is as good as the study wants, where there is such a one."""
    kept = leader_of([row for row in of_runtime if not fit_of(row).broken])
    return leader_of(of_runtime) if kept is None else kept


def _alike(row: Row, group: Sequence[Row], rivals: Sequence[RuntimeRatio]) -> RuntimeRatio | None:
    baseline = next((rival.against for rival in rivals if rival.is_to_baseline), None)
    precision = row.get("precision")
    if baseline is None or baseline.get("precision") == precision:
        return None
    of_baseline = [other for other in group if other["runtime"] == baseline["runtime"]]
    kept = [other for other in of_baseline if other.get("precision") == precision and not fit_of(other).broken]
    leader = leader_of(kept)
    return None if leader is None else RuntimeRatio(row, leader)


def is_tuned(row: Row) -> bool:
    """Whether a tuner worked on it, whatever the study calls that."""
    return bool(row.get("records_dir") or row.get("tuning_s"))


def _but_for_tuner(row: Row) -> tuple[Any, ...]:
    return tuple(value_in(row, axis) for axis in axis_names() if axis != "tuner")
