"""Which tests may run beside others in another process, and how `pytest -n 2` (pytest-xdist) keeps the rest apart.

Tests of devices, engines and whole sweeps measure times, own cores and start a Ray: each needs the machine to itself.
The other rooms touch their temporary folders alone. So the workers share those by the file, and when all of them have
ended, one worker is left and runs everything else in order, as without xdist.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

__all__ = ["SideBySide", "in_order", "is_alone"]

_SHARED = tuple(
    f"tests/{room}/"
    for room in (
        "toolchain",  # the longest first, so that no worker waits for the other at the end
        "record",
        "cli",
        "api",
        "planning",
        "report",
        "storage",
        "doctor",
        "search",
        "analysis",
        "study",
        "running",
        "predict",
        "inspection",
        "files",
        "golden",
        "hostile",
    )
)
_LONG = ("tests/test_readme.py", "tests/toolchain/test_lowering.py")
"""Files that take longest, before all others."""
_PURE = tuple(
    f"tests/test_{name}.py::"
    for name in ("documents", "house", "plain_text", "plurals", "readme_tables", "redaction", "registry")
)
"""Files of no room that touch nothing but what they are given."""
_TIMED = (
    "tests/toolchain/test_artifacts.py::test_a_job_costs_little_more_than_its_compilation",
    "tests/record/mlflow/test_http.py",
)
"""What asserts on times, in rooms that else do not."""
_NEEDS_THE_MACHINE = ("benchmark", "ray")
"""Marks of tests that must not be shared."""
_ALONE = "alone"


def is_alone(nodeid: str) -> bool:
    """Whether a test must have the machine to itself: every one that is not known to be harmless."""
    return nodeid.startswith(_TIMED) or not nodeid.startswith((*_SHARED, *_LONG, *_PURE))


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """What is shared first, the longest files before the others, then what runs alone, in the order it had.

    Raises pytest.UsageError for a test whose mark says that it needs the machine, in a room that is shared.
    """
    for item in items:
        if not is_alone(item.nodeid) and any(item.get_closest_marker(mark) for mark in _NEEDS_THE_MACHINE):
            raise pytest.UsageError(f"{item.nodeid} needs the machine to itself: name it in tests/side_by_side.py")
    return sorted(items, key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    if is_alone(nodeid):
        return len(_LONG) + len(_SHARED) + len(_PURE)
    return next(place for place, start in enumerate((*_LONG, *_SHARED, *_PURE)) if nodeid.startswith(start))


class SideBySide(LoadScopeScheduling):
    """Gives workers a file at a time, and to the last of them, when the others have ended, all that runs alone."""

    def _split_scope(self, nodeid: str) -> str:
        return _ALONE if is_alone(nodeid) else nodeid.partition("::")[0]

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker so much that it can go on: it runs no test before it knows which one follows."""
        left = None
        # One in the place of a crashed one has to look for its tests first
        while node in self.registered_collections and not node.shutting_down and left != len(self.workqueue):
            left = len(self.workqueue)
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if next(iter(self.workqueue)) != _ALONE:
            super()._assign_work_unit(node)
            return
        others = [other for other in self.nodes if other is not node]
        if any(not other.shutting_down for other in others):
            node.shutdown()  # ends with what it still has
        elif not any(self._pending_of(self.assigned_work[other]) for other in others):
            super()._assign_work_unit(node)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        self._look_for_the_last()

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a worker out that has ended, or crashed, and give the test with which it did: that is not run again."""
        units, self.assigned_work[node] = self.assigned_work[node], {}
        crashed = next((test for unit in units.values() for test, is_done in unit.items() if not is_done), None)
        for unit in units.values():
            unit.update({test: True for test in unit if test == crashed})
        super().remove_node(node)
        self.workqueue.update({scope: unit for scope, unit in units.items() if not all(unit.values())})
        if _ALONE in self.workqueue:
            self.workqueue.move_to_end(_ALONE)
        self._look_for_the_last()
        return crashed

    def _look_for_the_last(self) -> None:
        """The last worker keeps one test until it is told what follows it: the others' ends tell."""
        for node in self.nodes:
            if self.workqueue and not node.shutting_down:
                self._reschedule(node)
