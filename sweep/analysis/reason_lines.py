"""What is to be said of cells, such as why they failed: a line for each reason, and not for each cell. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sweep.analysis.formatting import plural

__all__ = ["LINES_SHOWN", "reason_lines"]

LINES_SHOWN = 12


def reason_lines(said: Iterable[tuple[str, str]], shown: int = LINES_SHOWN) -> list[str]:
    """`the first cell and 3 more: the reason`, the most frequent reason first. said: a cell's name and what is said."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for name, reason in said:
        counts[reason] += 1
        names.setdefault(reason, name)
    lines = [
        f"{names[reason]}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
        for reason, count in counts.most_common(shown)
    ]
    more = len(counts) - len(lines)
    return lines + ([f"... and {plural(more, 'other reason')}; see the report"] if more else [])
