"""An engine that outlives what it rests on: Ray, or the farm's supervisor, is brought up again within the run.

What was under way is lost with it and costs no attempt. Nothing is started meanwhile, so that a dead keeper does not
burn a night's plan in minutes. What goes down again and again without a finished stage in between ends the run, with
everything that is left still to be done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.errors import EngineDown, SweepError, in_one_line, was_lost
from sweep.running.contract import Attempt, Done, Engine, Failed, Progress, Report

__all__ = ["MOST_IN_A_ROW", "Footing", "KeptEngine"]

MOST_IN_A_ROW = 3
"""Times that anything is brought up without a finished stage since."""
_PAUSE_S = 2.0
"""Before the second try in a row; twice as long before the third."""


@dataclass(frozen=True, slots=True)
class Footing:
    """Something that an engine rests on."""

    why_gone: Callable[[], str | None]
    """What has become of it; None while it is well."""
    restore: Callable[[], None]
    """Brings it up again. Raises SweepError where it does not come up."""


class KeptEngine:
    """Passes attempts and reports on, and watches what the engine rests on."""

    def __init__(
        self, engine: Engine, footings: Sequence[Footing], pause: Callable[[float], None] = time.sleep
    ) -> None:
        """`footings`: in the order in which they are brought up."""
        self._engine, self._footings, self._pause = engine, footings, pause
        self._in_a_row = 0
        self._under_way: set[tuple[str, int]] = set()
        self._shaken: set[tuple[str, int]] = set()
        """Of these, what was under way when something was lost."""
        self._held: list[Attempt] = []

    @property
    def capacity(self) -> Mapping[str, int]:
        """The engine's own."""
        return self._engine.capacity

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt, once all is up."""
        self._held.append(attempt)
        if not self._gone():
            self._start_held()

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Reports of the engine. What is lost is brought up first, however long that takes.

        Raises:
            EngineDown: it does not stay up.
        """
        for footing, why in self._gone():
            self._restore(footing, why)
        self._start_held()
        reports = self._engine.poll(timeout_s)
        if self._gone():
            self._shaken |= self._under_way
        if any(isinstance(report, Done) for report in reports):
            self._in_a_row = 0
        return [report if isinstance(report, Progress) else self._ended(report) for report in reports]

    def close(self) -> None:
        """Stop everything."""
        self._held.clear()
        self._engine.close()

    def _start_held(self) -> None:
        held, self._held = self._held, []
        for attempt in held:
            self._under_way.add((attempt.stage.id, attempt.number))
            self._engine.start(attempt)

    def _ended(self, report: Done | Failed) -> Done | Failed:
        """Whatever a lost footing makes of an attempt, it is lost with it."""
        attempt = (report.stage_id, report.attempt)
        is_shaken = attempt in self._shaken
        self._shaken.discard(attempt)
        self._under_way.discard(attempt)
        if isinstance(report, Failed) and is_shaken and was_lost(report.error_class, None):
            return replace(report, error_class=EngineDown.__name__)
        return report

    def _gone(self) -> list[tuple[Footing, str]]:
        return [(footing, why) for footing in self._footings if (why := footing.why_gone()) is not None]

    def _restore(self, footing: Footing, why: str) -> None:
        self._shaken |= self._under_way
        while True:
            if self._in_a_row == MOST_IN_A_ROW:
                raise EngineDown(f"{why}; brought up {MOST_IN_A_ROW} times in a row without a finished stage between")
            if self._in_a_row:
                self._pause(_PAUSE_S * 2.0 ** (self._in_a_row - 1))
            self._in_a_row += 1
            logging.getLogger(__name__).warning("%s: it is brought up again, and what was under way with it", why)
            try:
                footing.restore()
                return
            except SweepError as error:
                why = in_one_line(error)
