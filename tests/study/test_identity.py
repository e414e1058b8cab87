"""What ids are made of: a word that is learnt later leaves the ids of before alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import pytest

from sweep.planning.planner import make_plan
from sweep.study.identity import identifying
from sweep.study.spec import Measure
from tests.planning.grids import cluster, study


@dataclass(frozen=True, slots=True)
class LaterMeasure(Measure):
    """Of a version that has one more option."""

    energy: bool = False


def measure_ids(measure: Measure) -> list[str]:
    plan = make_plan(study(measure=measure), cluster())
    return [stage.id for stage in plan.stages.values() if stage.kind == "measure"]


@pytest.mark.parametrize("first", [{"a"}, {"a", "b"}])
def test_first_names_are_always_there_and_later_ones_where_they_differ(first: set[str]) -> None:
    defaults = {"a": 1, "b": 2, "c": 3}
    assert identifying(defaults, first, defaults) == {name: defaults[name] for name in sorted(first)}
    assert identifying({"a": 1, "b": 2, "c": 4}, first, defaults)["c"] == 4


def test_all_options_of_the_first_version_are_hashed_at_their_default() -> None:
    later = {"retakes": Measure().retakes}
    assert Measure().options | later == asdict(Measure())
    assert len(Measure().options) == 10


def test_a_measure_option_of_later_measures_nothing_again_before_it_is_used() -> None:
    before = measure_ids(Measure())
    assert measure_ids(LaterMeasure()) == before
    assert not set(measure_ids(LaterMeasure(energy=True))) & set(before)
    assert LaterMeasure(energy=True).options == {**Measure().options, "energy": True}


def test_an_option_of_the_first_version_is_part_of_the_id() -> None:
    changed = replace(Measure(), time_limit_s=31.0)
    assert not set(measure_ids(changed)) & set(measure_ids(Measure()))
