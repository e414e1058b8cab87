"""Sends jobs to the builders of a run, one a node: each to the builder with the fewest under way for its slots.

The driver, tuners and devices use it, and each counts the jobs that it has sent itself. A builder that died under a job
is passed over for a while, and its job goes to another builder.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import ray
from ray.actor import ActorHandle

from sweep import errors
from sweep.engine.stage_calls import CompileCall, Outcome
from sweep.errors import EngineError
from sweep.toolchain.compile_job import CompileJob

__all__ = ["Builders", "settle"]

_DISTRUST_S = 20.0
"""Ray takes seconds to find that a node is lost; until then its builder refuses everything at once."""
_TRIES = 3

_Ended = Callable[["Future[Outcome]"], None]


class Builders:
    """Chooses a builder for each job, and counts the jobs under way at each. Thread-safe."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        """`slots`: of each builder, by the name of its actor."""
        self._lock = threading.Lock()
        self._slots: dict[str, int] = dict(slots)
        self._handles: dict[str, ActorHandle] = {}
        self._under_way: Counter[str] = Counter()
        self._distrusted_until: dict[str, float] = {}
        self._again = ThreadPoolExecutor(max_workers=1, thread_name_prefix="again")

    def change(self, slots: Mapping[str, int]) -> None:
        """Nodes have come or gone."""
        with self._lock:
            self._slots = dict(slots)

    def compile(self, call: CompileCall) -> ray.ObjectRef[Outcome]:
        """Have a stage compiled.

        Raises:
            EngineError: there is no builder.
        """
        name, builder = self._choose()
        return self._counted(name, builder.compile.remote(call))

    def _counted(self, name: str, ref: ray.ObjectRef[Outcome], on_end: _Ended | None = None) -> ray.ObjectRef[Outcome]:
        with self._lock:
            self._under_way[name] += 1

        def ended(done: Future[Outcome]) -> None:
            with self._lock:
                self._under_way[name] -= 1
                if isinstance(done.exception(), ray.exceptions.RayError):
                    self._distrusted_until[name] = time.monotonic() + _DISTRUST_S
            if on_end is not None:
                on_end(done)

        ref.future().add_done_callback(ended)
        return ref

    def make(self, job: CompileJob, arguments: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Have a job done for a tuner or a device; it is the builder's fault when that dies, so another one gets it
        then. Who cancels the answer ends the job.
        """
        answer: Future[dict[str, Any]] = Future()
        self._try(answer, job, dict(arguments), _TRIES)
        return answer

    def _try(self, answer: Future[dict[str, Any]], job: CompileJob, arguments: dict[str, Any], tries: int) -> None:
        def on_end(done: Future[Outcome]) -> None:
            if tries > 1 and not answer.cancelled() and isinstance(done.exception(), ray.exceptions.RayError):
                again = partial(self._try, answer, job, arguments, tries - 1)
                self._again.submit(again)  # Ray's own thread must not wait for Ray
            else:
                settle(answer, done, EngineError)

        ticket = uuid4().hex
        try:
            name, builder = self._choose()
            self._counted(name, builder.make.remote(job, arguments, ticket), on_end)
        except (EngineError, ray.exceptions.RayError) as error:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(EngineError(str(error)))
        else:
            answer.add_done_callback(lambda done: builder.cancel.remote(ticket) if done.cancelled() else None)

    def _choose(self) -> tuple[str, ActorHandle]:
        while True:
            with self._lock:
                now = time.monotonic()
                names = sorted(
                    self._slots,
                    key=lambda name: (
                        self._distrusted_until.get(name, 0.0) > now,
                        self._under_way[name] / self._slots[name],
                    ),
                )
            if not names:
                raise EngineError("no node is left that builds")
            if (handle := self._handle(names[0])) is not None:
                return names[0], handle

    def _handle(self, name: str) -> ActorHandle | None:
        """None, and forgotten, where there is no such actor any more."""
        if name not in self._handles:
            try:
                self._handles[name] = ray.get_actor(name)
            except ValueError:
                with self._lock:
                    self._slots.pop(name, None)
                return None
        return self._handles[name]


def settle(answer: Future[dict[str, Any]], done: Future[Outcome], if_dead: type[errors.SweepError]) -> None:
    """Give an answer what a call came to; a dead actor becomes an error of class `if_dead`, a bug a RuntimeError."""
    if not answer.set_running_or_notify_cancel():
        return
    try:
        outcome = done.result()
    except ray.exceptions.RayError as error:
        answer.set_exception(if_dead(f"the worker is gone: {type(error).__name__}"))
        return
    if outcome.result is not None:
        answer.set_result(dict(outcome.result))
        return
    kind = getattr(errors, outcome.error_class, None)
    answer.set_exception(RuntimeError(outcome.traceback) if kind is None else kind(outcome.error))
