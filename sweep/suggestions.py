"""Near matches for a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["hint", "listed"]


def hint(word: object, choices: Iterable[str]) -> str:
    """`, did you mean 'random'?`, or nothing when no choice is near."""
    folded = {choice.lower(): choice for choice in choices}
    near = get_close_matches(str(word).lower()[:100], folded, n=1, cutoff=0.6)
    return f", did you mean {folded[near[0]]!r}?" if near else ""


def listed(choices: Iterable[object], limit: int = 30) -> str:
    """Choices for the `allowed` part of an error, cut where a person would stop reading."""
    names = [str(choice) for choice in choices]
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
