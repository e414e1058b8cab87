"""What a comparison of two sweeps says: of each cell that both have, and of all together. Pure; knows no files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.analysis.comparing.comparison import CellComparison
from sweep.analysis.comparing.fail_rule import FailRule, RuleAnswer, worst
from sweep.analysis.comparing.measured_cell import MeasuredCell
from sweep.analysis.rows.bounds import EXACT
from sweep.analysis.statistics import VERDICT_LEVEL, Comparison, Ratio, Verdict

__all__ = ["SharedCell", "SweepComparison", "SweepSide"]

Row = Mapping[str, Any]

_UNKNOWN = Comparison(Ratio(math.nan, None, None), Verdict.AMBIGUOUS)
_EQUAL = Comparison(Ratio(1.0, 1.0, 1.0), Verdict.SAME)


@dataclass(frozen=True, slots=True)
class SweepSide:
    """One of two sweeps: its rows, and the cells of them that were measured."""

    name: str
    """As a person named it."""
    rows: Mapping[str, Row]
    """Of results.parquet, by the id of the cell."""
    measured: Mapping[str, MeasuredCell]
    """By the id of the cell; those without a measurement are not there."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """Hash of the file of each model, by its name."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Hash of the library of each compiled cell that still has it, by the id of the cell."""


@dataclass(frozen=True, slots=True)
class SharedCell:
    """A cell that both sweeps have: the new one over its baseline."""

    cell_id: str
    name: str
    baseline: Row
    new: Row
    compared: CellComparison | None = None
    """Its `first` is the new one. None where one of them cannot be compared."""
    why_not: str | None = None
    same_code: str | None = None
    """Why both run the same code, where they do: then they are the same, and their times tell of the machine."""
    is_same_network: bool = True

    @property
    def found(self) -> Comparison:
        """Ratio and verdict: below 1, the new one is faster."""
        if self.same_code is not None:
            return _EQUAL
        return _UNKNOWN if self.compared is None else self.compared.found

    @property
    def verdict(self) -> Verdict:
        """FASTER, SLOWER, SAME or AMBIGUOUS: the new one beside its baseline."""
        return self.found.verdict

    @property
    def is_of_pairs(self) -> bool:
        """Whether both were measured in turns, so that what the machine did to one it did to the other."""
        return self.compared is not None and self.compared.paired is not None

    @property
    def machine_ratio(self) -> float | None:
        """Of the same code, where nothing disturbed either: its times, new over baseline, which are the machine's."""
        is_known = self.same_code is not None and self.compared is not None and self.compared.ratio_bound == EXACT
        return self.compared.found.ratio.value if self.compared is not None and is_known else None

    @property
    def notes(self) -> list[str]:
        """What a reader should know before believing it."""
        told = [] if self.is_same_network else ["the two networks are of different files"]
        if self.same_code is not None:
            return [*told, self.same_code]
        if self.why_not is not None:
            told.append(self.why_not)
        return told + ([] if self.compared is None else self.compared.notes())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        ratio = self.found.ratio
        return {
            "cell_id": self.cell_id,
            "cell_name": self.name,
            "verdict": str(self.verdict),
            "ratio": None if math.isnan(ratio.value) else ratio.value,
            "ratio_ci_low": ratio.ci_low,
            "ratio_ci_high": ratio.ci_high,
            "ratio_bound": EXACT if self.same_code else self.compared.ratio_bound if self.compared else None,
            "pairs": self.compared.paired.used if self.compared and self.compared.paired else 0,
            **{
                f"{side}_{key}": row.get(key)
                for side, row in (("baseline", self.baseline), ("new", self.new))
                for key in ("status", "latency_ms_median", "latency_bound")
            },
            "is_same_code": self.same_code is not None,
            "machine_ratio": self.machine_ratio,
            "is_same_network": self.is_same_network,
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class SweepComparison:
    """The comparison of two sweeps: their shared cells with a verdict each, and what a rule says of them."""

    baseline: str
    new: str
    cells: tuple[SharedCell, ...]
    """In the order of the new sweep."""
    baseline_alone: tuple[str, ...]
    """Names of cells that only the baseline has."""
    new_alone: tuple[str, ...]
    level: float
    """How sure the interval of each cell is, so that all hold together with `VERDICT_LEVEL`."""
    machine: tuple[float, float] | None = None
    """Least and largest ratio of times of cells whose code is the same, which the intervals of all others allow for."""
    rule: FailRule | None = None
    in_turns: bool = False
    """Whether the cells were measured in turns for it."""

    @property
    def verdict(self) -> Verdict:
        """SLOWER where a cell is; else AMBIGUOUS where one is, or none is shared; else FASTER where one is, or SAME."""
        found = {cell.verdict for cell in self.cells} or {Verdict.AMBIGUOUS}
        return next(one for one in (Verdict.SLOWER, Verdict.AMBIGUOUS, Verdict.FASTER, Verdict.SAME) if one in found)

    @property
    def counts(self) -> dict[str, int]:
        """Cells by verdict."""
        found = Counter(cell.verdict for cell in self.cells)
        return {str(verdict): found[verdict] for verdict in Verdict}

    def answer(self, cell: SharedCell) -> RuleAnswer:
        """What the rule says of a cell; without a rule, whether there is a verdict."""
        if self.rule is not None:
            return self.rule.answer(cell.found.ratio)
        return RuleAnswer.OPEN if cell.verdict is Verdict.AMBIGUOUS else RuleAnswer.HELD

    @property
    def outcome(self) -> RuleAnswer:
        """What the rule says of all: broken by one, held by all. Without a rule: open where no cell has a verdict."""
        answers = [self.answer(cell) for cell in self.cells]
        if self.rule is None:
            return RuleAnswer.HELD if RuleAnswer.HELD in answers else RuleAnswer.OPEN
        return worst(answers)

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Ratios are the new latency over the baseline's: below 1, the new one is faster."""
        rule = None if self.rule is None else {"rule": self.rule.text, "outcome": str(self.outcome)}
        answers = {} if self.rule is None else {cell.cell_id: str(self.answer(cell)) for cell in self.cells}
        return {
            "baseline": self.baseline,
            "new": self.new,
            "verdict": str(self.verdict),
            "counts": self.counts,
            "fail_on": rule,
            "machine_ratio": list(self.machine) if self.machine else None,
            "correction": {"method": "bonferroni", "level_together": VERDICT_LEVEL, "level_of_a_cell": self.level},
            "cells": [
                {**cell.as_dict(), **({"fail_on": answers[cell.cell_id]} if answers else {})} for cell in self.cells
            ],
            "baseline_alone": list(self.baseline_alone),
            "new_alone": list(self.new_alone),
        }
