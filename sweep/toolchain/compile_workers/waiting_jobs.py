"""The jobs that wait for a compile server, and which of them the next free slot goes to.

Decides by values alone: who waits, who runs, and for how long each kind has had slots. Knows no process and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

__all__ = ["CANDIDATE", "STAGE", "UnderWay", "WaitingJobs"]

STAGE, CANDIDATE = "stage", "candidate"
"""The kinds: work of a sweep's stages, and candidates of tuners, of which dozens wait."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A job that has a slot, and since when."""

    kind: str
    used_s: float
    """Seconds for which it has had a slot."""


class WaitingJobs:
    """Queues of requests, one a kind; within a kind the first comes first.

    Where both kinds wait, the next slot goes to the one that has fewer, then to the one that has used less time: a
    build of a minute must not keep a tuner from its candidates, nor a tuner's candidates a build from its slot. Slots
    cannot be taken back, so what is counted first is who has one now. A kind of which nothing waits or runs saves
    nothing up.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[dict[str, Any]]] = {STAGE: deque(), CANDIDATE: deque()}
        self._used_s = dict.fromkeys(self._waiting, 0.0)
        """Of jobs that have ended."""

    def add(self, request: dict[str, Any], under_way: Collection[UnderWay]) -> None:
        """A job comes. `under_way`: those that run."""
        kind = request["kind"]
        if not self._waiting[kind] and not any(job.kind == kind for job in under_way):
            self._used_s[kind] = max(self._used(under_way).values())
        if request.get("comes_first"):
            self._waiting[kind].appendleft(request)
        else:
            self._waiting[kind].append(request)

    def put_back(self, request: dict[str, Any]) -> None:
        """A job is made again, before all others of its kind."""
        self._waiting[request["kind"]].appendleft(request)

    def drop(self, job_id: int) -> None:
        """Nobody wants a job any more; one that does not wait is no concern."""
        for queue in self._waiting.values():
            for request in [request for request in queue if request["id"] == job_id]:
                queue.remove(request)

    def ended(self, job: UnderWay) -> None:
        """A job has given its slot back."""
        self._used_s[job.kind] += job.used_s

    def next(self, under_way: Collection[UnderWay]) -> dict[str, Any] | None:
        """Take the job that a free slot goes to; None where none waits. `under_way`: those that run."""
        kinds = [kind for kind, queue in self._waiting.items() if queue]
        if not kinds:
            return None
        used_s = self._used(under_way)
        slots = {kind: sum(job.kind == kind for job in under_way) for kind in kinds}
        return self._waiting[min(kinds, key=lambda kind: (slots[kind], used_s[kind]))].popleft()

    def _used(self, under_way: Collection[UnderWay]) -> dict[str, float]:
        used_s = dict(self._used_s)
        for job in under_way:
            used_s[job.kind] += job.used_s
        return used_s
