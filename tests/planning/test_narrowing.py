"""A plan for some of its cells."""

from __future__ import annotations

import pytest

from sweep.errors import StudyError
from sweep.planning.narrowing import narrowed
from sweep.planning.planner import make_plan
from sweep.study.selection import parse_selection
from tests.planning.grids import TUNERS, cluster, model, study

WHOLE = make_plan(study(models=(model("a"), model("b")), tuners=(TUNERS["none"], TUNERS["xgb"])), cluster())


def test_some_cells_keep_their_stages_and_ids_and_nothing_else_is_left() -> None:
    some = narrowed(WHOLE, parse_selection("model=a,tuner=xgb,device=one"))
    (only,) = some.cells
    assert only in WHOLE.cells
    assert set(some.stages) == set(only.stages)
    assert [WHOLE.stages[stage_id] for stage_id in some.stages] == list(some.stages.values())
    assert [stage_id for stage_id in WHOLE.stages if stage_id in some.stages] == list(some.stages)
    assert some.naive == {"import": 1, "lower": 1, "tune": 1, "build": 1, "measure": 1}


def test_all_of_them_is_the_plan() -> None:
    assert narrowed(WHOLE, parse_selection("model=*")) == WHOLE


def test_none_of_them_is_refused() -> None:
    with pytest.raises(StudyError, match="fits no tuner"):
        narrowed(WHOLE, parse_selection("tuner=ga"))
