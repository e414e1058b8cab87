"""Compares two cells of a sweep: which is faster, by how much, and whether the measurements allow a verdict.

Rows are those of results.parquet and measurements.parquet. Knows no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from sweep.analysis.comparing.measured_cell import MeasuredCell, PairedBlocks
from sweep.analysis.comparing.pairs import FIRST_LOOK, PairedComparison, compare_pairs
from sweep.analysis.formatting import as_latency, as_percent, as_times, plural, rounded_down, significant
from sweep.analysis.rows.bounds import AT_LEAST, AT_MOST, EXACT, UPPER
from sweep.analysis.statistics import SAME_WITHIN, VERDICT_LEVEL, Comparison, Ratio, Verdict, judge, ratio, summarise
from sweep.analysis.turns import is_due, look_at, looks_in
from sweep.errors import StudyError

__all__ = ["CellComparison", "compare_cells", "find_cell"]

Row = Mapping[str, Any]

DRIFT = 0.01
"""What two measurements may differ by that did not take turns, even where the sentinel kernel did not."""

_SHORTEST_ID = 4
_LISTED = 12
_WORDS = {
    Verdict.FASTER: "{first} is faster",
    Verdict.SLOWER: "{first} is slower",
    Verdict.SAME: f"they are the same within {as_percent(SAME_WITHIN)}",
    Verdict.AMBIGUOUS: "these repeats do not tell which is faster",
}


@dataclass(frozen=True, slots=True)
class CellComparison:
    """The comparison of two cells: their ratio, its interval, the verdict and notes on both."""

    first: MeasuredCell
    second: MeasuredCell
    found: Comparison
    measured_more: PairedBlocks
    paired: PairedComparison | None
    """Of what was measured more; where there is one, `found` is its."""
    final_rounds: int = 0
    """Rounds of the final in which both took turns, where `found` is of these."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON. The ratio is the first's median over the second's: below 1, the first is faster."""
        ratio = self.found.ratio
        return {
            "verdict": str(self.found.verdict),
            "ratio": ratio.value,
            "ratio_ci_low": ratio.ci_low,
            "ratio_ci_high": ratio.ci_high,
            "ratio_bound": self.ratio_bound,
            "took_turns": self.is_of_turns or self.first.took_turns_with(self.second),
            "final_rounds": self.final_rounds,
            "pairs": {
                "measured": len(self.measured_more.pairs),
                "disturbed": self.measured_more.disturbed,
                "used": self.paired.used if self.paired else 0,
                "looks": self.paired.looks if self.paired else 0,
            },
            "cells": [
                {
                    **{name: value for name, value in asdict(cell).items() if name not in ("blocks", "heats")},
                    "run_secs": [seconds for block in cell.run_secs for seconds in block],
                    "rounds": len(cell.blocks),
                    "latency_ms_median": summarise(cell.run_secs).median * 1e3,
                }
                for cell in (self.first, self.second)
            ],
            "notes": self.notes(),
        }

    def as_text(self) -> str:
        """For people."""
        ratio = self.found.ratio
        said = _WORDS[self.found.verdict].format(first=self.first.name)
        by = f", {self._factor()}" if self.found.verdict in (Verdict.FASTER, Verdict.SLOWER) else ""
        width = max(len(self.first.name), len(self.second.name))
        lines = [_line(cell, width) for cell in (self.first, self.second)]
        lines.append(f"{'ratio':<{width}}  {significant(ratio.value, 4)}{_interval(ratio)}")
        lines.append(f"{self.found.verdict}: {said}{by}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes())])

    @property
    def verdict(self) -> Verdict:
        """FASTER, SLOWER, SAME or AMBIGUOUS: the first cell beside the second."""
        return self.found.verdict

    @property
    def is_of_turns(self) -> bool:
        """Whether the ratio is of both in turns: of a final, or of what was measured more."""
        return self.paired is not None or self.final_rounds > 0

    @property
    def ratio_bound(self) -> str | None:
        """What is known of the ratio: exact; at_most its upper end, at_least its lower one; None where nothing is."""
        bounds = (self.first.bound, self.second.bound)
        if self.is_of_turns or bounds == (EXACT, EXACT):
            return EXACT
        if bounds == (UPPER, EXACT):
            return AT_MOST
        return AT_LEAST if bounds == (EXACT, UPPER) else None

    def _factor(self) -> str:
        """How many times as fast; at least, where only an end of the ratio is known."""
        ratio, end = self.found.ratio, {AT_MOST: self.found.ratio.ci_high, AT_LEAST: self.found.ratio.ci_low}
        known = end.get(self.ratio_bound or "")
        if known is None:
            return as_times(max(ratio.value, 1 / ratio.value))
        return f"at least {as_times(rounded_down(max(known, 1 / known)))}"

    @property
    def is_decided(self) -> bool:
        """Whether there is an answer."""
        return self.found.verdict is not Verdict.AMBIGUOUS

    def as_look(self) -> str:
        """What is known so far, in a line."""
        ratio = self.found.ratio
        interval = f"[{ratio.ci_low:.3f}, {ratio.ci_high:.3f}]" if ratio.ci_low and ratio.ci_high else ""
        used = self.paired.used if self.paired else 0
        return f"{plural(used, 'pair')}: ratio {significant(ratio.value, 4)} {interval} {self.found.verdict}"

    @property
    def pairs_wanted(self) -> int:
        """Further pairs of blocks until the next look; a disturbed one is not among them."""
        return max(1, (self.paired.wanted if self.paired else FIRST_LOOK) - len(self.measured_more.pairs))

    def notes(self) -> list[str]:
        """What a reader should know before believing it."""
        told = [
            f"{cell.name} is not stable: its interval is wide for its median, or its repeats are few"
            for cell in (self.first, self.second)
            if cell.is_stable is False
        ]
        if self.first.host != self.second.host:
            told.append(f"measured on two hosts: {self.first.host or 'unknown'} and {self.second.host or 'unknown'}")
        return [*told, *self._basis()]

    def _basis(self) -> Iterator[str]:
        """Which repeats the ratio is of."""
        for cell in (self.first, self.second):
            if cell.unchecked:
                yield f"nothing was compared with the outputs of {cell.name}, so nothing is claimed: {cell.unchecked}"
        for cell in (self.first, self.second) if not self.is_of_turns else ():
            if cell.unchecked:
                continue
            if cell.disturbed and cell.bound == UPPER:
                of = " in a final" if cell.is_bounded_by_final else ""
                yield f"{cell.name} was slowed, so its times{of} are the most that it takes: {cell.disturbed}"
            elif cell.disturbed:
                yield f"{cell.name} was disturbed, and is not compared by what the sweep measured: {cell.disturbed}"
        if self.measured_more.disturbed:
            yield f"{plural(self.measured_more.disturbed, 'pair')} of blocks measured later did not count: disturbed"
        if self.paired is not None:
            yield (
                f"the ratio is of {plural(self.paired.used, 'pair')} of blocks measured in turns after the sweep, "
                f"looked at {plural(self.paired.looks, 'time')}, its interval widened for that"
            )
        elif self.final_rounds:
            held = self.first.final_held
            yield f"the ratio is of {plural(self.final_rounds, 'round')} {held}, in the final of the sweep"
        elif (self.found.ratio.ci_low or self.found.ratio.ci_high) and not self.first.took_turns_with(self.second):
            yield (
                "they did not take turns: the interval allows for a drift of "
                f"{as_percent(_drift(self.first, self.second)[0])} between them"
            )


def find_cell(rows: Iterable[Row], wanted: str) -> Row:
    """The one cell that `wanted` means: its name, its id (or the beginning of it), or words that it alone has.

    Raises StudyError where none or several are meant.
    """
    cells = list(rows)
    for meant in (
        [row for row in cells if wanted in (row["cell_name"], row["cell_id"])],
        [row for row in cells if len(wanted) >= _SHORTEST_ID and row["cell_id"].startswith(wanted)],
        [row for row in cells if wanted.split() and set(wanted.split()) <= set(row["cell_name"].split())],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise StudyError("means several cells", key="CELL", value=wanted, allowed=_listed(meant))
    raise StudyError("is no cell of this sweep", key="CELL", value=wanted, allowed=_listed(cells))


def compare_cells(
    first: MeasuredCell,
    second: MeasuredCell,
    across_hosts: bool = False,
    more: PairedBlocks | None = None,
    *,
    level: float = VERDICT_LEVEL,
    is_enough: Callable[[Comparison], bool] | None = None,
) -> CellComparison:
    """Is the first faster than the second? By what was measured `more`, once that is enough for a first look; else by
    the final in which both took turns; else by the sweep's own repeats, unless something disturbed those.

    level: how sure the interval of the ratio is. is_enough: as of `compare_pairs`.

    Raises StudyError when they were measured on different hosts, unless told `across_hosts`: the difference would be
    the machines' as much as the cells'.
    """
    if first.host != second.host and not across_hosts:
        raise StudyError(
            "were measured on different hosts",
            key="CELL CELL",
            value=f"{first.host or 'unknown'}; {second.host or 'unknown'}",
            allowed="cells of one host, or --across-hosts",
        )
    more = more or PairedBlocks()
    is_checked = first.unchecked is None and second.unchecked is None
    paired = compare_pairs(more.pairs, level, is_enough) if is_checked else None
    if paired is not None:
        return CellComparison(first, second, paired.found, more, paired)
    if is_checked and level == VERDICT_LEVEL and (in_turns := _in_final(first, second)) is not None:
        return CellComparison(first, second, judge(in_turns), more, None, _rounds(first, second))
    found = ratio(first.run_secs, second.run_secs, level=level)
    if not first.took_turns_with(second):
        found = _with_drift(found, first, second)
    return CellComparison(first, second, judge(_as_far_as_known(found, first.bound, second.bound)), more, None)


def _in_final(first: MeasuredCell, second: MeasuredCell) -> Ratio | None:
    """The first over the second in the final that holds for both; None where there is none, or it tells no interval."""
    is_read = first.bound is not None and second.bound is not None
    if first.final is None or first.final != second.final or first.cell_id == second.cell_id or not is_read:
        return None
    if not first.heats or not second.heats:
        return None
    heats, is_last = [first.heats, second.heats], False
    if all(len(slots) == 2 for of in heats for slots in of):  # neither has two rounds a heat: all was loaded once
        heats = [(tuple(chain.from_iterable(of)),) for of in heats]
        looks = looks_in(_rounds(first, second), FIRST_LOOK)
    else:
        count = max(map(len, heats))
        looks, is_last = looks_in(count), not is_due(count)
    found = look_at(heats, (False, True), looks, is_last=is_last).ratios[0]
    return found if found.ci_low is not None else None


def _rounds(first: MeasuredCell, second: MeasuredCell) -> int:
    """That both took."""
    return sum(min(len(one), len(other)) // 2 for one, other in zip(first.heats, second.heats, strict=False))


def _as_far_as_known(found: Ratio, first: str | None, second: str | None) -> Ratio:
    """The ends of the interval that hold although something slowed one of the cells."""
    if first == second == EXACT:
        return found
    low = found.ci_low if (first, second) == (EXACT, UPPER) else None
    high = found.ci_high if (first, second) == (UPPER, EXACT) else None
    return Ratio(found.value, low, high)


def _with_drift(found: Ratio, first: MeasuredCell, second: MeasuredCell) -> Ratio:
    """The interval made to hold what the ratio would be had the device been as fast for the first as for the second."""
    if found.ci_low is None or found.ci_high is None:
        return found
    _, factor = _drift(first, second)
    low, high = min(found.ci_low, found.ci_low / factor), max(found.ci_high, found.ci_high / factor)
    return Ratio(found.value, low / (1 + DRIFT), high * (1 + DRIFT))


def _drift(first: MeasuredCell, second: MeasuredCell) -> tuple[float, float]:
    """Between two measurements that did not take turns: the share, and by which factor the first had it slower."""
    factor = first.kernel_ms / second.kernel_ms if first.kernel_ms and second.kernel_ms else 1.0
    return max(factor, 1 / factor) * (1 + DRIFT) - 1, factor


def _interval(ratio: Ratio) -> str:
    """` [0.842, 0.851]`, with what is known of it; empty where neither end is."""
    if ratio.ci_low is None and ratio.ci_high is None:
        return ""
    if ratio.ci_low is None:
        return f", at most {ratio.ci_high:.3f}"
    return f", at least {ratio.ci_low:.3f}" if ratio.ci_high is None else f" [{ratio.ci_low:.3f}, {ratio.ci_high:.3f}]"


def _line(cell: MeasuredCell, width: int) -> str:
    return f"{cell.name:<{width}}  {as_latency(summarise(cell.run_secs))}"


def _listed(rows: Sequence[Row]) -> str:
    names = [repr(row["cell_name"]) for row in rows[:_LISTED]]
    return ", ".join(names) + (f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else "")
