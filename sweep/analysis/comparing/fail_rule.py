"""The rule by which a comparison of two sweeps fails: `slower > 5%`. Reads it, and holds intervals against it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sweep.analysis.statistics import Ratio
from sweep.errors import StudyError

__all__ = ["FailRule", "RuleAnswer", "parse_rule", "worst"]

_FORM = re.compile(r"\s*(slower|faster|changed)\s*>\s*(\d+(?:\.\d+)?)\s*%\s*")
_ALLOWED = "slower, faster or changed, then > and a share below 1000 %, as 'slower > 5%'"
_LIMIT = 1000.0


class RuleAnswer(StrEnum):
    """What an interval says of a rule."""

    HELD = "held"
    """The whole interval lies on the good side."""
    BROKEN = "broken"
    """The whole interval lies beyond the limit."""
    OPEN = "open"
    """The limit lies in the interval, or an end that it would take is not known."""


@dataclass(frozen=True, slots=True)
class FailRule:
    """By which share a new latency may at most differ from its baseline, and in which direction."""

    word: str
    """slower, faster or changed."""
    share: float
    """0.05 of `5%`."""
    text: str
    """As written."""

    def answer(self, ratio: Ratio) -> RuleAnswer:
        """ratio: the new latency over the baseline's."""
        return worst(self._sides(ratio))

    def _sides(self, ratio: Ratio) -> Iterable[RuleAnswer]:
        low = 0.0 if ratio.ci_low is None else ratio.ci_low
        high = math.inf if ratio.ci_high is None else ratio.ci_high
        if self.word in ("slower", "changed"):
            yield _side(low, high, 1 + self.share)
        if self.word in ("faster", "changed"):  # the same of the inverse: 5 % faster takes 1 / 1.05 of the time
            yield _side(1 / high, 1 / low if low else math.inf, 1 + self.share)


def parse_rule(text: str) -> FailRule:
    """Reads what `--fail-on` says. Raises StudyError."""
    found = _FORM.fullmatch(text)
    if found is None or float(found[2]) >= _LIMIT:
        raise StudyError("is no rule", key="--fail-on", value=text, allowed=_ALLOWED)
    return FailRule(found[1], float(found[2]) / 100, " ".join(text.split()))


def worst(answers: Iterable[RuleAnswer]) -> RuleAnswer:
    """Of several: broken where one is, held where all are; open else, and where there is none."""
    found = list(answers)
    if RuleAnswer.BROKEN in found:
        return RuleAnswer.BROKEN
    return RuleAnswer.HELD if found and set(found) == {RuleAnswer.HELD} else RuleAnswer.OPEN


def _side(low: float, high: float, limit: float) -> RuleAnswer:
    if low > limit:
        return RuleAnswer.BROKEN
    return RuleAnswer.HELD if high <= limit else RuleAnswer.OPEN
