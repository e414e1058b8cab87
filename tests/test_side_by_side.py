"""How tests are shared by workers: all are run, once, and what needs the machine has it to itself."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.side_by_side import (
    _LONG,
    _MEASURING,
    _SHARED,
    _TIMED,
    SideBySide,
    in_order,
    is_alone,
    is_tried_again,
    unit_of,
)

ROOT = Path(__file__).parents[1]
ROOMS = [f"tests/{room}/test_{name}.py" for room in ("devices", "engine") for name in "ab"]
SHARED = [*ROOMS, "tests/test_main.py", *(f"tests/{room}/test_{name}.py" for room in ("study", "cli") for name in "ab")]
ALONE = ["tests/record/mlflow/test_http.py", "tests/devices/test_device_session.py"]


class Worker:
    """As xdist's: it runs a test once it knows which one follows, or that none does."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.waiting: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        assert not self.shutting_down
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def can_go_on(self) -> bool:
        return len(self.waiting) > 1 or (self.shutting_down and bool(self.waiting))

    @property
    def has_ended(self) -> bool:
        return self.shutting_down and not self.waiting


@given(
    sizes=st.lists(st.integers(0, 5), min_size=len(SHARED), max_size=len(SHARED)),
    alone=st.lists(st.integers(0, 4), min_size=len(ALONE), max_size=len(ALONE)),
    workers=st.integers(1, 4),
    crashes=st.integers(0, 3),
    data=st.data(),
)
def test_each_test_is_run_once_and_those_alone_are_last_and_alone(
    sizes: list[int], alone: list[int], workers: int, crashes: int, data: st.DataObject
) -> None:
    """A worker that crashes takes the test that it runs with it, and another comes in its place."""
    files = zip([*SHARED, *ALONE], [*sizes, *alone], strict=True)
    collection = [f"{file}::test_{number}" for file, size in files for number in range(size)]
    there: list[Any] = [Worker(f"gw{number}") for number in range(workers)]
    option = SimpleNamespace(loadscopereorder=False)
    scheduler = SideBySide(SimpleNamespace(option=option, getvalue=lambda _: ["popen"] * workers))  # type: ignore[arg-type]
    for node in there:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, collection)
    scheduler.schedule()
    starting: list[Any] = []
    ran: list[str] = []
    has_crashed = False
    where: dict[str, set[str]] = {}
    while ready := [*starting, *(node for node in there if node.can_go_on or node.has_ended)]:
        node = data.draw(st.sampled_from(ready))
        if node in starting:
            starting.remove(node)
            there.append(node)
            scheduler.add_node_collection(node, collection)
            scheduler.schedule()
        elif node.has_ended:
            there.remove(node)
            if node in scheduler.nodes:  # one too many never was
                assert scheduler.remove_node(node) is None
        elif crashes and data.draw(st.booleans()):
            crashes, has_crashed = crashes - 1, True
            there.remove(node)
            ran.append(collection[node.waiting[0]])
            assert scheduler.remove_node(node) == ran[-1]
            starting.append(Worker(f"{node.gateway.id}'"))
            scheduler.add_node(starting[-1])
        else:
            index = node.waiting.pop(0)
            ran.append(collection[index])
            where.setdefault(unit_of(ran[-1]), set()).add(node.gateway.id.rstrip("'"))
            others = [other for other in there if other is not node and other.waiting]
            assert not (is_alone(ran[-1]) and others)
            scheduler.mark_test_complete(node, index)
        if scheduler.tests_finished:  # as xdist's session does
            for other in (*there, *starting):
                other.shutdown()
    assert sorted(ran) == sorted(collection)
    assert has_crashed or all(len(names) == 1 for names in where.values()), "a unit is one worker's"


def test_whatever_is_named_is_there() -> None:
    for place in (*_MEASURING, *_SHARED, *_LONG, *_TIMED):
        path, _, name = place.partition("::")
        assert (ROOT / path).exists(), path
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8")) if name else None
        assert tree is None or name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_all_that_measures_is_one_workers() -> None:
    units = {
        unit_of(f"tests/{room}/inner/test_x.py::test_y") for room in ("devices", "engine", "end_to_end", "cluster")
    }
    assert len(units) == 1
    for room in ("benchmarks", "a_room_to_come"):
        assert unit_of(f"tests/{room}/inner/test_x.py::test_y[a/b::c]") == f"tests/{room}"
    assert unit_of("tests/cli/inner/test_x.py::test_y") == "tests/cli/inner/test_x.py"
    assert unit_of("tests/test_main.py::test_y") == "tests/test_main.py"


def test_what_asserts_on_times_is_the_last() -> None:
    names = [
        f"{place}::test_x[1]" for place in (*_TIMED, "tests/a_room/test_x.py", *SHARED, "tests/end_to_end/test_x.py")
    ]
    items: list[Any] = [SimpleNamespace(nodeid=name, get_closest_marker=lambda _: None) for name in names]
    ordered = [item.nodeid for item in in_order(items)]
    assert {unit_of(name) for name in ordered[-len(_TIMED) :]} == {"alone"}
    assert ordered[0] == "tests/end_to_end/test_x.py::test_x[1]"
    assert ordered.index("tests/devices/test_a.py::test_x[1]") < ordered.index("tests/study/test_b.py::test_x[1]")


@pytest.mark.parametrize(("mark", "place"), [("benchmark", "tests/engine/test_x.py"), ("ray", "tests/cli/test_x.py")])
def test_a_mark_that_does_not_fit_the_place_is_told(mark: str, place: str) -> None:
    item: Any = SimpleNamespace(nodeid=f"{place}::test_x", get_closest_marker=lambda name: name == mark or None)
    with pytest.raises(pytest.UsageError, match=place):
        in_order([item])


@pytest.mark.parametrize(
    ("nodeid", "mark", "again"),
    [
        ("tests/study/test_a.py::test_b", None, False),
        ("tests/study/test_a.py::test_b", "tvm", False),
        ("tests/engine/test_a.py::test_b", "integration", True),
        ("tests/engine/test_a.py::test_b", "ray", True),
        (f"{ALONE[0]}::test_b", None, True),
    ],
)
def test_what_has_real_processes_or_asserts_on_times_is_tried_again(nodeid: str, mark: str | None, again: bool) -> None:
    item: Any = SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: mark if name == mark else None)
    assert is_tried_again(item) == again
