"""Formats numbers and durations for people, alike in the terminal, the pages and the sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.analysis.statistics import LatencySummary

__all__ = [
    "as_bytes",
    "as_duration",
    "as_latency",
    "as_ms",
    "as_percent",
    "as_tags",
    "as_times",
    "plural",
    "rounded_down",
    "rounded_up",
    "significant",
]


def significant(value: float, digits: int = 3) -> str:
    """`value` to so many significant digits, never in exponent form: 0.0456, 2.17, 16.0, 142, 1,234."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    whole = len(f"{abs(int(rounded))}") if abs(rounded) >= 1 else -_zeros(rounded)
    return f"{value if abs(rounded) >= 10**digits else rounded:,.{max(0, digits - whole)}f}"


def rounded_down(value: float) -> float:
    """To what `significant` shows, and never more than `value`: of what is at least so much. value: above 0."""
    return _rounded(value, ROUND_FLOOR)


def rounded_up(value: float) -> float:
    """To what `significant` shows, and never less than `value`: of what is at most so much. value: above 0."""
    return _rounded(value, ROUND_CEILING)


def as_ms(ms: float | None) -> str:
    """A latency in milliseconds, without its unit; `-` for none."""
    return "-" if ms is None else significant(ms)


def as_latency(summary: LatencySummary) -> str:
    """A measured latency with the interval of its median: `6.76 ms [6.74, 6.80], 10 repeats`."""
    interval = ""
    if summary.ci_low is not None and summary.ci_high is not None:
        interval = f" [{as_ms(summary.ci_low * 1e3)}, {as_ms(summary.ci_high * 1e3)}]"
    return f"{as_ms(summary.median * 1e3)} ms{interval}, {plural(summary.repeats, 'repeat')}"


def as_times(factor: float | None) -> str:
    """A ratio: 7.41x; `-` for none."""
    return "-" if factor is None else f"{significant(factor)}x"


def as_percent(share: float) -> str:
    """A share of 1: 61 %, 0.4 %."""
    percent = share * 100
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{significant(percent, 1)} %"


def as_duration(seconds: float) -> str:
    """Seconds as 0.8 s, 42 s, 7 min 12 s, 3 h 05 min, 2 d 4 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def as_bytes(size: float | None) -> str:
    """A size: 512 B, 4.9 MB (decimal units)."""
    if size is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{significant(size)} {unit}"
        size /= 1000
    return f"{significant(size)} TB"


def plural(count: int, noun: str) -> str:
    """1 cell, 2 cells, 12 retries."""
    if count == 1:
        return f"1 {noun}"
    ending = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count:,} {ending}"


def _rounded(value: float, rounding: str) -> float:
    # To 12 digits first: what arithmetic leaves behind the last of them would make 1.01 into 1.02
    last = min(0, math.floor(math.log10(value)) - 2)
    return float(Decimal(f"{value:.12g}").quantize(Decimal(1).scaleb(last), rounding=rounding))


def _zeros(value: float) -> int:
    """Zeros right after the point of a value below 1."""
    return -int(f"{value:e}".split("e")[1]) - 1


def as_tags(tags: Mapping[str, str]) -> str:
    """`team=vision, ticket=CV-12`."""
    return ", ".join(f"{name}={text}" for name, text in sorted(tags.items()))
