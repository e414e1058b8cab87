"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One property that a check looked at: its state, and the mend where something is wrong."""

    check: str
    """What was looked at, in a word or two."""
    ok: bool | None
    """False: a sweep will fail, or lie. None: it will run, and this is worth knowing."""
    detail: str
    mend: str = ""
    """What to do, as a command where there is one; empty when nothing is to be done."""
