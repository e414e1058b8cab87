"""Which of the jobs that wait a free slot of a compile server goes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweep.toolchain.compile_workers.waiting_jobs import CANDIDATE, STAGE, UnderWay, WaitingJobs


class Server:
    """A server of so many slots, whose time passes where it is told so."""

    def __init__(self, slots: int) -> None:
        self.slots, self.now_s, self.order = slots, 0.0, ""
        self.waiting = WaitingJobs()
        self.running: list[tuple[float, float, dict[str, Any]]] = []
        """When each began and will end, and which it is."""
        self._count = 0

    def add(self, kind: str, seconds: float, count: int = 1, *, comes_first: bool = False) -> None:
        for _ in range(count):
            self._count += 1
            request = {"id": self._count, "kind": kind, "seconds": seconds, "comes_first": comes_first}
            self.waiting.add(request, self.under_way())

    def under_way(self) -> list[UnderWay]:
        return [UnderWay(request["kind"], self.now_s - begun) for begun, _, request in self.running]

    def fill(self) -> None:
        while len(self.running) < self.slots and (request := self.waiting.next(self.under_way())) is not None:
            self.order += request["kind"][0]
            self.running.append((self.now_s, self.now_s + request["seconds"], request))

    def run_until(self, end_s: float) -> None:
        self.fill()
        while self.running and min(ends for _, ends, _ in self.running) <= end_s:
            first = min(self.running, key=lambda job: job[1])
            begun, self.now_s, request = first
            self.running.remove(first)
            self.waiting.ended(UnderWay(request["kind"], self.now_s - begun))
            self.fill()
        self.now_s = end_s

    def slots_of(self) -> Mapping[str, int]:
        kinds = [request["kind"] for _, _, request in self.running]
        return {kind: kinds.count(kind) for kind in (STAGE, CANDIDATE)}


def test_candidates_come_in_turns_with_builds_that_wait_for_the_only_slot() -> None:
    server = Server(slots=1)
    server.add(STAGE, 4.0, 3)
    server.add(CANDIDATE, 1.0, 8)
    server.run_until(100.0)
    assert server.order == "s" + "cccc" + "s" + "cccc" + "s"


def test_a_long_build_has_one_of_two_slots_though_others_wait_behind_it() -> None:
    server = Server(slots=2)
    server.add(STAGE, 60.0, 9)
    server.add(CANDIDATE, 1.0, 999)
    for second in range(1, 200, 7):
        server.run_until(float(second))
        assert server.slots_of() == {STAGE: 1, CANDIDATE: 1}


def test_a_third_slot_goes_to_who_has_had_less_time() -> None:
    server = Server(slots=3)
    server.add(STAGE, 10.0, 50)
    server.add(CANDIDATE, 1.0, 999)
    server.run_until(200.0)
    had = dict.fromkeys((STAGE, CANDIDATE), 0.0)
    for kind in server.order:
        had[STAGE if kind == STAGE[0] else CANDIDATE] += 10.0 if kind == STAGE[0] else 1.0
    assert abs(had[STAGE] - had[CANDIDATE]) <= 2 * 10.0 * server.slots


def test_who_did_not_wait_has_saved_nothing_up() -> None:
    server = Server(slots=1)
    server.add(CANDIDATE, 1.0, 100)
    server.run_until(50.5)
    server.add(STAGE, 1.0, 20)
    server.run_until(60.5)
    assert server.order[51:61].count("s") == 5


def test_what_somebody_waits_for_goes_before_others_of_its_kind() -> None:
    server = Server(slots=1)
    server.add(STAGE, 10.0)
    server.run_until(1.0)
    server.add(STAGE, 10.0, 2)
    server.add(STAGE, 3.0, comes_first=True)
    server.run_until(11.0)
    assert [request["seconds"] for _, _, request in server.running] == [3.0]


def test_a_kind_alone_has_all_slots() -> None:
    server = Server(slots=2)
    server.add(STAGE, 5.0, 4)
    server.run_until(1.0)
    assert server.slots_of()[STAGE] == 2


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from([STAGE, CANDIDATE]), st.floats(0.01, 50.0)), min_size=1, max_size=40),
)
def test_every_job_is_done_and_each_kind_in_its_order(slots: int, jobs: list[tuple[str, float]]) -> None:
    server, given_out = Server(slots), list[dict[str, Any]]()
    take = server.waiting.next

    def noted(under_way: Any) -> dict[str, Any] | None:
        request = take(under_way)
        if request is not None:
            given_out.append(request)
        return request

    server.waiting.next = noted  # type: ignore[method-assign]
    for kind, seconds in jobs:
        server.add(kind, seconds)
    server.run_until(10_000.0)
    assert sorted(request["id"] for request in given_out) == list(range(1, len(jobs) + 1))
    for kind in (STAGE, CANDIDATE):
        ids = [request["id"] for request in given_out if request["kind"] == kind]
        assert ids == sorted(ids)
