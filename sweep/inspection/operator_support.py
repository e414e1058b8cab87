"""Which operators an importer takes: as they are, by a rewriting of its own, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["AS_IT_IS", "EITHER", "LACKS", "REWRITTEN", "RUNS", "OperatorTable"]

AS_IT_IS, EITHER, REWRITTEN, LACKS = "converted", "converted or rewritten", "rewritten", "lacks"
"""By TVM alone; by TVM, and rewritten in forms that TVM does otherwise; rewritten, since TVM lacks it; by nobody."""
RUNS = "runs"


@dataclass(frozen=True, slots=True)
class OperatorTable:
    """Of one importer."""

    importer: str
    known: tuple[str, ...]
    """Every operator of the format, by its own names."""
    converted: frozenset[str]
    """TVM has a converter for it."""
    rewritten: frozenset[str] = frozenset()
    """What is rewritten here before TVM sees it, in some of its forms at least."""
    runtimes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Runtime -> operators that it runs, of those whose operators can be told."""

    def support(self, operator: str) -> str:
        """How the importer takes an operator."""
        if operator in self.rewritten:
            return EITHER if operator in self.converted else REWRITTEN
        return AS_IT_IS if operator in self.converted else LACKS

    def rows(self) -> list[dict[str, str]]:
        """Operator, what the importer does with it, and whether a runtime runs it."""
        return [
            {
                "operator": operator,
                self.importer: self.support(operator),
                **{name: RUNS if operator in runs else LACKS for name, runs in self.runtimes.items()},
            }
            for operator in self.known
        ]

    def lacking(self, operators: Iterable[str]) -> dict[str, list[str]]:
        """Of a network's operators, what the importer and each runtime lacks; who lacks nothing is there with none."""
        used = list(operators)
        by_importer = [operator for operator in used if self.support(operator) == LACKS]
        return {
            self.importer: by_importer,
            **{name: [each for each in used if each not in runs] for name, runs in self.runtimes.items()},
        }

    def counts(self) -> dict[str, int]:
        """How many operators are taken in each way."""
        told = [self.support(operator) for operator in self.known]
        return {way: told.count(way) for way in (AS_IT_IS, EITHER, REWRITTEN, LACKS)}
