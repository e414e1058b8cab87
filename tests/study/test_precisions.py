"""The table of precisions: the tolerance that a plan holds a cell to, and precisions from outside the package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.study.axes import stage_options
from sweep.study.gate import study_json_schema
from sweep.study.precisions import PRECISIONS, Precision, precision_of, tolerance_of
from tests.planning.grids import cluster, device, study

LOOSE = Precision("loose16", "float16", tolerance=None)


@pytest.fixture
def loose() -> Iterator[None]:
    """A precision whose output may differ, as if a package had brought it."""
    with PRECISIONS.registered("loose16", LOOSE):
        yield


@pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-3), ("float16", 1e-2)])
def test_equality_is_due_up_to_the_tolerance(name: str, tolerance: float) -> None:
    plan = make_plan(study(precisions=(name,), runtimes=("tvm",)), cluster(device("one")))
    assert tolerance_of(name) == tolerance
    assert [s.options["threshold"] for s in plan.stages.values() if s.kind == "measure"] == [tolerance]
    assert stage_options("lower", {"precision": name}) == {"opt_level": 3, "layout": "NCHW", "precision": name}


@pytest.mark.usefixtures("loose")
def test_one_whose_output_may_differ_has_none_and_its_lowering_knows_the_type() -> None:
    plan = make_plan(study(precisions=("loose16",), runtimes=("tvm",)), cluster(device("one")))
    options = {stage.kind: stage.options for stage in plan.stages.values()}
    assert options["measure"]["threshold"] is None
    assert (options["lower"]["precision"], options["lower"]["dtype"]) == ("loose16", "float16")
    assert plan.cells[0].cell.name == "a native none O3 loose16 one"


def test_passes_of_its_own_travel_with_the_stage() -> None:
    own = Precision("posit8", "posit8", tolerance=None, passes=("package.passes:ToPosit",))
    with PRECISIONS.registered("posit8", own):
        assert stage_options("lower", {"precision": "posit8"})["passes"] == ["package.passes:ToPosit"]


@pytest.mark.usefixtures("loose")
def test_the_schema_offers_it() -> None:
    entry = study_json_schema()["$defs"]["AxesForm"]["properties"]["precision"]["items"]["oneOf"]
    assert entry[0]["enum"] == [*PRECISIONS.names()]
    assert entry[0]["enum"][-1] == "loose16"
    assert entry[1]["$ref"].endswith("PrecisionForm")


def test_one_that_there_is_not_is_refused() -> None:
    with pytest.raises(StudyError, match="is no precision, did you mean 'float16'"):
        precision_of("float1")
