"""The Ray engine: sends attempts to actors, on an embedded or an existing cluster, and takes their answers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle

from sweep.engine.ray.actor_pool import ActorPool
from sweep.engine.ray.ray_session import RaySession
from sweep.engine.ray.watched_calls import watched
from sweep.engine.site import Site
from sweep.engine.stage_calls import MeasureCall, Outcome, compile_call, device_call, perform, tune_call
from sweep.errors import EngineDown, EngineError, in_one_line
from sweep.planning.kinds import place_of
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import Place
from sweep.running.contract import Attempt, Failed, Progress, Report

__all__ = ["RayEngine"]

_PROGRESS_EVERY_S = 1.0
_MEASUREMENTS_ASKED = 32
"""At a time: a thousand devices would be asked for nothing else."""


@dataclass(slots=True)
class _Running:
    attempt: Attempt
    tuner: ActorHandle | None = None
    is_covered: bool = False
    """Whether a tuner has told of a schedule for each task of the stage."""
    device: ActorHandle | None = None
    """Of a measurement that has told nothing yet: its first values are worth a word, and its result the next one."""


class RayEngine:
    """Performs attempts on Ray."""

    def __init__(self, site: Site, session: RaySession, *, num_cpus: int) -> None:
        """`num_cpus`: cores of the driver's node that search and build may use.

        Raises:
            EngineError: the driver's node has no TVM.
        """
        self._site, self._session, self._num_cpus = site, session, num_cpus
        self._actors: ActorPool | None = None
        self.capacity: dict[str, int] = {}
        self._running: dict[ray.ObjectRef[Outcome], _Running] = {}
        self._unsent: list[Report] = []
        self._asked: dict[ray.ObjectRef[Mapping[str, Any]], str] = {}
        self._next_ask = 0.0
        with contextlib.suppress(EngineDown):  # whoever asks `why_gone` has it started again
            self._make_actors()

    def _make_actors(self) -> None:
        self._actors = watched(lambda: ActorPool(self._site, self._session, self._num_cpus), self.why_gone)
        self.capacity.update(self._actors.capacity)
        self._actors.capacity = self.capacity

    def why_gone(self) -> str | None:
        """What has become of Ray; None while it is well."""
        return self._session.why_gone()

    def restart(self) -> None:
        """Start Ray again, and report what was under way as lost with it. Raises EngineError."""
        lost, self._running = [running.attempt for running in self._running.values()], {}
        self._asked.clear()
        down = Outcome(None, EngineDown.__name__, "Ray was lost", worker="driver")
        self._unsent += [down.report(attempt) for attempt in lost]
        self._actors = None
        self._session.restart()
        self._make_actors()

    def make_ready(self, first: Stage) -> None:
        """Have the device of what will be measured first come up, which takes as long as the import before it."""
        actors, options = self._actors, first.options
        if actors is not None and actors.is_embedded:
            with contextlib.suppress(EngineDown, EngineError):  # the attempt itself will tell
                device = watched(lambda: actors.device(str(options["device"])), self.why_gone)
                device.make_ready.remote(str(options["runtime"]), int(options["threads"]))

    def start(self, attempt: Attempt) -> None:
        """Send an attempt to its actor; what cannot be sent is reported by the next `poll`."""
        actors = self._actors

        def send() -> Mapping[str, Any]:
            if actors is None:
                raise EngineDown("Ray is not up")
            ref, running = watched(lambda: _sent(actors, attempt), self.why_gone)
            self._running[ref] = running
            return {}

        sent = perform(send, worker="driver")
        if sent.result is None:
            self._unsent.append(sent.report(attempt))

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Reports of attempts that have ended, and progress of tuners; those that are lost when Ray is gone."""
        if self._actors is None or self.why_gone() is not None:
            return self._take_unsent()
        self._actors.look_around()
        self._actors.keep_for_candidates(self._first_candidates())
        self._ask_progress()
        reports = self._take_unsent()
        waiting: list[ray.ObjectRef[Any]] = [*self._running, *self._asked]
        if not waiting:
            return reports
        ready, _ = ray.wait(waiting, num_returns=1, timeout=0 if reports else timeout_s)
        if ready:  # whatever else has arrived by now
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        for ref in ready:
            if ref in self._asked:
                reports.extend(self._take_progress(ref))
            else:
                reports.append(self._take_outcome(ref))
        return reports

    def close(self) -> None:
        """Let the actors give back what they hold, end them and leave Ray."""
        if (actors := self._actors) is not None:
            self._actors = None
            with contextlib.suppress(EngineDown):
                watched(actors.close, self.why_gone)
        self._running.clear()
        self._asked.clear()
        self._session.close()

    def _take_unsent(self) -> list[Report]:
        unsent, self._unsent = self._unsent, []
        return unsent

    def _take_outcome(self, ref: ray.ObjectRef[Outcome]) -> Report:
        running = self._running.pop(ref)
        try:
            outcome: Outcome = watched(lambda: ray.get(ref), self.why_gone)
            return outcome.report(running.attempt)
        except EngineDown as error:
            return Outcome(None, EngineDown.__name__, str(error), worker="driver").report(running.attempt)
        except ray.exceptions.RayError as error:
            stage = running.attempt.stage
            return Failed(
                stage.id, running.attempt.number, "EngineError", f"worker lost: {in_one_line(error)}", 0.0, ""
            )

    def _ask_progress(self) -> None:
        """Ask tuners how far they are, once a second: an answer comes at once, and would keep this process spinning."""
        now = time.monotonic()
        if self._asked or now < self._next_ask:
            return
        self._next_ask = now + _PROGRESS_EVERY_S
        measuring = 0
        for running in self._running.values():
            stage_id = running.attempt.stage.id
            if running.tuner is not None:
                lower_dir = tune_call(running.attempt).lower_dir
                self._asked[running.tuner.progress.remote(lower_dir)] = stage_id
            elif running.device is not None and measuring < _MEASUREMENTS_ASKED:
                measuring += 1
                self._asked[running.device.progress.remote(stage_id)] = stage_id

    def _take_progress(self, ref: ray.ObjectRef[Mapping[str, Any]]) -> list[Progress]:
        stage_id = self._asked.pop(ref)
        try:
            info = watched(lambda: ray.get(ref), self.why_gone)
        except (EngineDown, ray.exceptions.RayError):
            return []  # the attempt itself will tell
        found = next((one for one in self._running.values() if one.attempt.stage.id == stage_id), None)
        if found is None or not info:
            return []
        found.device = None
        found.is_covered = info.get("tasks_covered") == info.get("tasks")
        return [Progress(stage_id, info)]

    def _first_candidates(self) -> int:
        """How many build slots are kept for them: one, while a network that is tuned waits for its first schedules."""
        return int(any(one.tuner is not None and not one.is_covered for one in self._running.values()))


def _sent(actors: ActorPool, attempt: Attempt) -> tuple[ray.ObjectRef[Outcome], _Running]:
    try:
        match place_of(attempt.stage):
            case Place.TUNER:
                tune = tune_call(attempt)
                tuner = actors.tuner(tune)
                return tuner.tune.remote(tune), _Running(attempt, tuner)
            case Place.DEVICE:
                device_work = device_call(attempt)
                device = actors.device(device_work.device)
                told_by = device if isinstance(device_work, MeasureCall) else None
                return device.perform.remote(device_work), _Running(attempt, device=told_by)
            case Place.COMPILE:
                call = compile_call(attempt, actors.site.sweep_dir)
                return actors.builders.compile(call), _Running(attempt)
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray does not take the attempt: {in_one_line(error)}") from error
