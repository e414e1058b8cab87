"""What the events of a ledger hold, by name: the keys that readers use, and their types.

A line of a right checksum may still be another program's work. Events and keys that are not here are a newer version's,
and are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.files.typed_json import PositiveFloat, WrongContent, fields_of

__all__ = ["LEDGER_VERSION", "checked", "is_newer"]

LEDGER_VERSION = 1
"""Each run tells it as it starts. It is raised where a reader of the former one would misread a line, not for more."""


@dataclass(frozen=True, slots=True)
class _PairBlock:
    """A block of one of two cells that took turns; what else a measurement tells is not read."""

    run_secs: Sequence[PositiveFloat]
    number: int
    tainted: Sequence[Any]
    conditions: Mapping[str, Any]


_EVERY = fields_of(seq=int, t=float, event=str)
_STARTED = fields_of(version=int | None, schema=str | None, conditions=Mapping[str, Any] | None, only=str | None)
_ENDED = fields_of(status=str, reason=str | None)
_BY_NAME = {
    "run_started": _STARTED,
    "overlay_started": _STARTED,
    "final_started": _STARTED,
    "final_ended": _ENDED,
    "run_ended": _ENDED,
    "overlay_ended": _ENDED,
    "attempt_started": fields_of(stage=str, kind=str | None, attempt=int),
    "attempt_dropped": fields_of(stage=str),
    "attempt_failed": fields_of(
        stage=str, kind=str, attempt=int, error_class=str, error=str, retry=bool, limit_s=float | None
    ),
    "stage_done": fields_of(
        stage=str, kind=str, attempt=int, seconds=float, result=Mapping[str, Any], cut_short=bool | None
    ),
    "cell_skipped": fields_of(cell=str, reason=str, predicted=Mapping[str, Any] | None),
    "cell_audited": fields_of(cell=str, predicted=Mapping[str, Any]),
    "pair_measured": fields_of(cells=tuple[str, str], blocks=tuple[_PairBlock, _PairBlock]),
}


def checked(event: Mapping[str, Any]) -> None:
    """Raises WrongContent where an event lacks a key, or has a value of another type."""
    try:
        _EVERY.of(event)
        if (known := _BY_NAME.get(event["event"])) is not None:
            known.of(event)
    except WrongContent as error:
        name = event.get("event")
        raise WrongContent(
            f"of event {name}: {error}" if isinstance(name, str) and len(name) < 40 else str(error)
        ) from None


def is_newer(event: Mapping[str, Any]) -> bool:
    """Whether it begins what a newer version has written, and this one might misread."""
    return (
        event["event"] in ("run_started", "overlay_started", "final_started")
        and (event.get("version") or 0) > LEDGER_VERSION
    )
