"""Matches the cells of two sweeps and compares each with its baseline. Pure; knows no files.

All intervals hold together with the probability of one verdict: each of m cells has an interval of 1 - 0.01 / m
(Bonferroni). Holm's procedure would find a little more and gives no intervals, which a rule like `slower > 5%` takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep.analysis.comparing.comparison import CellComparison, compare_cells
from sweep.analysis.comparing.fail_rule import FailRule, RuleAnswer
from sweep.analysis.comparing.measured_cell import MeasuredCell, PairedBlocks
from sweep.analysis.comparing.pairs import FIRST_LOOK
from sweep.analysis.comparing.shared_cells import SharedCell, SweepComparison, SweepSide
from sweep.analysis.formatting import plural
from sweep.analysis.rows.bounds import EXACT, bound_of_row
from sweep.analysis.rows.runtime_rows import is_compiled_row
from sweep.analysis.statistics import VERDICT_LEVEL, Comparison, Ratio, Verdict, judge
from sweep.errors import StudyError
from sweep.study.runtimes import title_of

__all__ = ["compare_sweeps", "level_for"]

Row = Mapping[str, Any]


def level_for(cells: int) -> float:
    """How sure each of so many intervals must be for all to hold together with `VERDICT_LEVEL`."""
    return 1 - (1 - VERDICT_LEVEL) / max(1, cells)


def compare_sweeps(
    baseline: SweepSide,
    new: SweepSide,
    *,
    wanted: Iterable[str] | None = None,
    across_hosts: bool = False,
    rule: FailRule | None = None,
    measured_now: Mapping[str, PairedBlocks] | None = None,
) -> SweepComparison:
    """Every cell that both sweeps have, by its id, which is a hash of its axes.

    wanted: ids of the cells that are meant; default: all. measured_now: blocks of the new cell and of its baseline that
    were taken in turns afterwards, by the id of the cell; given, libraries that are one are the same without a
    measurement, since both would be run by the same machine.

    Raises StudyError where cells are shared and none of them was measured on the host of its baseline.
    """
    meant = None if wanted is None else set(wanted)
    shared = [cell_id for cell_id in new.rows if cell_id in baseline.rows and (meant is None or cell_id in meant)]
    both = [cell_id for cell_id in shared if cell_id in baseline.measured and cell_id in new.measured]
    level = level_for(len(shared))
    needs_host = not across_hosts and measured_now is None
    others = [one for one in both if baseline.measured[one].host != new.measured[one].host] if needs_host else []
    if others and len(others) == len(both):
        hosts = (baseline.measured[others[0]].host, new.measured[others[0]].host)
        raise StudyError(
            "were measured on different hosts",
            key="DIR_A DIR_B",
            value="; ".join(host or "unknown" for host in hosts),
            allowed="sweeps of one host, --across-hosts, or --measure-more, which runs both here",
        )
    terms = _Terms(level, rule, across_hosts, measured_now)
    skipped = set(others)
    cells = [_shared(one, baseline, new, one in skipped, terms) for one in shared]
    machine = _machine(cells)
    return SweepComparison(
        baseline.name,
        new.name,
        tuple(cells if machine is None else [_allowing_for(cell, machine) for cell in cells]),
        tuple(_names(baseline.rows, new.rows, meant)),
        tuple(_names(new.rows, baseline.rows, meant)),
        level,
        machine,
        rule,
        measured_now is not None,
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for all cells of a comparison."""

    level: float
    rule: FailRule | None
    across_hosts: bool
    measured_now: Mapping[str, PairedBlocks] | None

    def is_enough(self, found: Comparison) -> bool:
        """Whether further pairs would change nothing that was asked."""
        if self.rule is None:
            return found.verdict is not Verdict.AMBIGUOUS
        return self.rule.answer(found.ratio) is not RuleAnswer.OPEN

    def compare(self, new: MeasuredCell, baseline: MeasuredCell) -> tuple[CellComparison | None, str | None]:
        """By the sweeps' own repeats; or by what was measured now alone, where anything was. Or the reason why not."""
        new, baseline = replace(new, name="the new one"), replace(baseline, name="the baseline")  # both are one cell
        if self.measured_now is None:
            return compare_cells(new, baseline, True, level=self.level), None
        more = self.measured_now.get(new.cell_id, PairedBlocks())
        found = compare_cells(new, baseline, True, more, level=self.level, is_enough=self.is_enough)
        if found.paired is not None or new.unchecked or baseline.unchecked:
            return found, None
        disturbed = f", {more.disturbed} disturbed" if more.disturbed else ""
        return None, f"measured {plural(len(more.pairs), 'pair')} in turns{disturbed}; {FIRST_LOOK} are needed to tell"

    def same_code(self, new: Row, baseline: Row, has_one_library: bool, has_one_network: bool) -> str | None:
        """Why the two run the same code; None where they may not, where machines are what is compared, or where a
        disturbance leaves nothing to compare.
        """
        has_one_runtime = self.measured_now is not None or (
            new.get("runtime_version") is not None and new["runtime_version"] == baseline.get("runtime_version")
        )
        is_seen = self.measured_now is not None or bound_of_row(new) == bound_of_row(baseline) == EXACT
        if self.across_hosts or not has_one_runtime or not is_seen:
            return None
        if has_one_library:
            return "both libraries are the same, byte by byte"
        is_other = not is_compiled_row(new) and has_one_network
        return f"the same network in the same {title_of(new['runtime'])}" if is_other else None


def _shared(cell_id: str, baseline: SweepSide, new: SweepSide, is_elsewhere: bool, terms: _Terms) -> SharedCell:
    row, earlier = new.rows[cell_id], baseline.rows[cell_id]
    network, former = new.networks.get(row["model"]), baseline.networks.get(row["model"])
    library = new.libraries.get(cell_id)
    has_one_library = library is not None and library == baseline.libraries.get(cell_id)
    compared, why_not, same_code = None, None, None
    if is_elsewhere:
        why_not = "measured on different hosts"
    elif cell_id not in new.measured or cell_id not in baseline.measured:
        why_not = _unmeasured(earlier, row, cell_id in baseline.measured, cell_id in new.measured)
    else:
        same_code = terms.same_code(row, earlier, has_one_library, network is not None and network == former)
        compared, why_not = terms.compare(new.measured[cell_id], baseline.measured[cell_id])
    is_same_network = network is None or former is None or network == former
    return SharedCell(cell_id, row["cell_name"], earlier, row, compared, why_not, same_code, is_same_network)


def _machine(cells: Sequence[SharedCell]) -> tuple[float, float] | None:
    """Least and largest ratio of times of cells whose code is the same, and 1; None where there is none.

    What happens to the same code from one sweep to the next can happen to any other: the machine is not what it was.
    """
    ratios = [ratio for cell in cells if (ratio := cell.machine_ratio) is not None]
    return (min(1.0, *ratios), max(1.0, *ratios)) if ratios else None


def _allowing_for(cell: SharedCell, machine: tuple[float, float]) -> SharedCell:
    """The interval made to hold what the ratio would be, had the machine been as it was for the baseline."""
    compared = cell.compared
    if cell.same_code is not None or compared is None or compared.paired is not None:
        return cell
    found, (least, largest) = compared.found.ratio, machine
    low = None if found.ci_low is None else found.ci_low / largest
    high = None if found.ci_high is None else found.ci_high / least
    return replace(cell, compared=replace(compared, found=judge(Ratio(found.value, low, high))))


def _unmeasured(baseline: Row, new: Row, is_baseline_measured: bool, is_new_measured: bool) -> str:
    sides = (("the baseline", baseline, is_baseline_measured), ("the new one", new, is_new_measured))
    missing = [
        f"{side} is {row['status']}" + (f": {row['error']}" if row.get("error") else "")
        for side, row, is_there in sides
        if not is_there
    ]
    return "; ".join(missing)


def _names(rows: Mapping[str, Row], others: Mapping[str, Row], meant: set[str] | None) -> Sequence[str]:
    alone = (cell_id for cell_id in rows if cell_id not in others)
    return [rows[one]["cell_name"] for one in alone if meant is None or one in meant]
