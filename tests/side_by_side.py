"""How `pytest -n 2` (pytest-xdist) shares the tests: by the file, but for what measures, and for what is timed.

Tests of devices, engines and whole sweeps start farms and Rays, which those of a room share, and keep a core for as
long as they measure, some without end: one worker runs them all, or those of one room would wait for another's. They
take times as they come on a machine that does other things. The other rooms share nothing, so workers share those by
the file. What asserts on times has the machine to itself, when all else is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

__all__ = ["SideBySide", "in_order", "is_alone", "is_tried_again", "unit_of"]

_MEASURING = tuple(f"tests/{room}/" for room in ("end_to_end", "devices", "engine", "seams", "faults", "cluster"))
"""Where one worker runs all, in this order."""
_LONG = (*_MEASURING, "tests/test_readme.py", "tests/toolchain/test_lowering.py")
"""What takes longest begins first."""
_SHARED = tuple(
    f"tests/{room}/"
    for room in (
        "toolchain",
        "record",
        "cli",
        "api",
        "planning",
        "report",
        "storage",
        "doctor",
        "search",
        "analysis",
        "datasets",
        "study",
        "running",
        "predict",
        "inspection",
        "files",
        "golden",
        "hostile",
    )
)
_TIMED = (
    "tests/toolchain/test_artifacts.py::test_a_job_costs_little_more_than_its_compilation",
    "tests/record/mlflow/test_http.py",
    "tests/devices/measuring/test_cache_flush.py",
    "tests/devices/runtimes/test_artifact.py::test_flushed_caches_slow_a_call",
    "tests/devices/test_device_session.py",
    "tests/devices/test_processes.py",
    "tests/devices/leasing/test_lease.py",
    "tests/devices/leasing/test_board_gone.py",
    "tests/devices/rpc/test_tracker_client.py",
    "tests/devices/farm/test_farm.py::test_unmanaged_tracker_that_is_away_is_named",
)
"""What asserts on times, or sets short limits of its own."""
_ALONE, _ONE = "alone", "measuring"


def is_alone(nodeid: str) -> bool:
    """Whether a test must have the machine to itself."""
    return nodeid.startswith(_TIMED)


def is_tried_again(item: pytest.Item) -> bool:
    """Whether a test is run once more if it fails: what has real processes, or asserts on times.

    pytest's summary counts such runs and shows what each failed with; a run has three at most (pyproject.toml).
    """
    return any(item.get_closest_marker(name) for name in ("integration", "ray")) or is_alone(item.nodeid)


def unit_of(nodeid: str) -> str:
    """What one worker runs together: all that measures; else a file of a room that is shared or of no room, or else the
    whole room.
    """
    if is_alone(nodeid):
        return _ALONE
    if nodeid.startswith(_MEASURING):
        return _ONE
    path, _, _ = nodeid.partition("::")
    if path.startswith(_SHARED) or path.count("/") < 2:
        return path
    return "/".join(path.split("/")[:2])


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """What takes long, then files, then other rooms, then what runs alone; each in the order it had.

    Raises pytest.UsageError for a test whose mark says that it must not run where its place has it.
    """
    for item in items:
        if item.get_closest_marker("benchmark") and not is_alone(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} asserts on times: name it in tests/side_by_side.py")
        if item.get_closest_marker("ray") and item.nodeid.startswith(_SHARED):
            raise pytest.UsageError(f"{item.nodeid} starts a Ray, and its room is shared by the file")
    return sorted(items, key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    places = (*_LONG, *_SHARED)
    if is_alone(nodeid):
        return len(places) + 1
    return next((place for place, start in enumerate(places) if nodeid.startswith(start)), len(places))


class SideBySide(LoadScopeScheduling):
    """Gives workers a unit at a time, and to the last of them, when the others have ended, all that runs alone."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

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
