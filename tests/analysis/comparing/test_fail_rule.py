"""The rule by which a comparison fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.comparing.fail_rule import RuleAnswer, parse_rule, worst
from sweep.analysis.statistics import Ratio
from sweep.errors import StudyError

ends = st.one_of(st.none(), st.floats(0.2, 5.0))


@pytest.mark.parametrize(
    ("text", "low", "high", "answer"),
    [
        ("slower > 5%", 1.06, 1.10, "broken"),
        ("slower > 5%", 0.90, 1.05, "held"),
        ("slower > 5%", 1.04, 1.06, "open"),
        ("slower>5 %", None, 1.04, "held"),
        ("slower > 5%", None, 1.06, "open"),
        ("slower > 5%", 1.06, None, "broken"),
        ("slower > 5%", 0.5, None, "open"),
        ("slower > 5%", None, None, "open"),
        ("faster > 10%", 0.80, 0.90, "broken"),
        ("faster > 10%", 0.95, 2.0, "held"),
        ("changed > 2.5%", 0.99, 1.01, "held"),
        ("changed > 2.5%", 0.90, 0.92, "broken"),
        ("changed > 2.5%", 1.03, 1.04, "broken"),
        ("changed > 2.5%", 0.9, 1.01, "open"),
        ("slower > 0%", 0.9, 1.0, "held"),
    ],
)
def test_an_interval_holds_a_rule_breaks_it_or_leaves_it_open(
    text: str, low: float | None, high: float | None, answer: str
) -> None:
    assert parse_rule(text).answer(Ratio(1.0, low, high)) == answer


@pytest.mark.parametrize(
    "text", ["slower", "slower > 5", "slower < 5%", "slow > 5%", "slower > -5%", "slower > 5000%", ""]
)
def test_what_is_no_rule_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(StudyError, match="--fail-on: is no rule") as caught:
        parse_rule(text)
    assert "slower > 5%" in str(caught.value)


@given(ends, ends, st.floats(0.2, 5.0), st.sampled_from(["slower > 5%", "faster > 5%", "changed > 5%"]))
def test_an_answer_stays_where_the_interval_narrows(
    one: float | None, other: float | None, share: float, text: str
) -> None:
    """Whatever the true ratio in an interval is, the rule says of it alone what it said of the interval."""
    low, high = (one, other) if one is None or other is None else sorted((one, other))
    rule, truth = parse_rule(text), share
    if (low is not None and truth < low) or (high is not None and truth > high):
        return
    said = rule.answer(Ratio(1.0, low, high))
    assert said in (RuleAnswer.OPEN, rule.answer(Ratio(truth, truth, truth)))


def test_one_broken_breaks_all_and_none_is_no_answer() -> None:
    assert worst([]) is RuleAnswer.OPEN
    assert worst([RuleAnswer.HELD, RuleAnswer.OPEN]) is RuleAnswer.OPEN
    assert worst([RuleAnswer.OPEN, RuleAnswer.BROKEN, RuleAnswer.HELD]) is RuleAnswer.BROKEN
    assert worst([RuleAnswer.HELD]) is RuleAnswer.HELD
