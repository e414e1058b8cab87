"""Observers of a run: the live view, the journal, the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage

__all__ = ["Observer", "Observers"]


class Observer(Protocol):
    """Is told what has happened, after the ledger is."""

    def attempt_started(self, stage: Stage, attempt: int) -> None: ...
    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None: ...
    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None: ...
    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None: ...
    def cell_settled(self, cell: int, from_earlier_run: bool) -> None: ...
    def tick(self, now: float) -> None: ...


class Observers:
    """Several of them as one, told in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._all = tuple(observers)

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        for one in self._all:
            one.attempt_started(stage, attempt)

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        for one in self._all:
            one.stage_done(stage, result, seconds)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        for one in self._all:
            one.attempt_failed(stage, error_class, error, will_retry)

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        for one in self._all:
            one.progress(stage, info)

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        for one in self._all:
            one.cell_settled(cell, from_earlier_run)

    def tick(self, now: float) -> None:
        for one in self._all:
            one.tick(now)
