"""What is said of the best cell of a model on a device: in a sentence, and piece by piece for cards.

What is certain comes first; what is open comes last, with the command that closes it. No word claims more than the
rows allow: a cell with ties is among the fastest, and one beside an open cell is the fastest of those measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sweep.analysis.answering.standing import Best, Standing
from sweep.analysis.formatting import as_ms, as_times, plural, rounded_down, rounded_up
from sweep.analysis.rows.bounds import AT_LEAST, Reading
from sweep.analysis.rows.duels import how_held, took_part
from sweep.analysis.rows.results import NO_TUNER
from sweep.analysis.rows.runtime_rows import RuntimeRatio, is_compiled_row, runtime_title
from sweep.study.axes import axes_under, unusual, value_in
from sweep.study.runtimes import title_of

__all__ = [
    "AGAIN",
    "RETRY_FAILED",
    "RETRY_TAINTED",
    "TELL_APART",
    "comparisons",
    "configuration",
    "counted",
    "describe_best",
    "known_ms",
    "open_words",
    "times_words",
    "untuned_note",
    "work",
]

Row = Mapping[str, Any]
AGAIN = "`sweep run ...` again"
"""Measures what is pending or was skipped."""
RETRY_TAINTED = "`sweep run ... --retry-tainted`"
"""Measures again what stayed tainted."""
RETRY_FAILED = "`sweep run ... --retry-failed`"
"""The same, and tries again what failed."""
TELL_APART = "`sweep compare DIR A B --measure-more`"


def configuration(row: Row) -> str:
    """What was chosen in a cell, in words: `xgb at O3 on native`; the axes that hardly vary only where unusual."""
    if not is_compiled_row(row):
        return runtime_title(row)
    tuner = "untuned" if row["tuner"] == NO_TUNER else row["tuner"]
    extra = unusual(row, (axis for axis in axes_under() if not axis.compared_within))
    return " ".join([f"{tuner} at O{row['opt_level']} on {row['target']}", *extra])


def work(row: Row) -> list[str]:
    """What is to be done in a cell beside running its model once, in words: `batch 8`; empty for the usual."""
    asked = ((axis, value_in(row, axis.name)) for axis in axes_under() if axis.compared_within)
    return [f"{axis.name} {value}" for axis, value in asked if value != axis.default and value is not None]


def untuned_note(row: Row) -> str:
    """`3 of 30 tasks untuned`, of a cell that was tuned: tasks without a valid trial keep their untuned schedule."""
    untuned = row["untuned_tasks"] if row.get("records_dir") else None
    return f"{untuned} of {plural(untuned + (row['tuned_tasks'] or 0), 'task')} untuned" if untuned else ""


def describe_best(best: Best) -> str:
    """One sentence on one model and device, without its full stop."""
    at = f" at {', '.join(work(best.row))}" if work(best.row) else ""
    shipped = best.to_ship
    standing = best.overall if shipped is None else best.own
    told = ", ".join(
        [f"{configuration(best.row)} {_claim(best, standing)}", *(words for words, _ in comparisons(best))]
    )
    if shipped is not None:
        told = f"ship {runtime_title(shipped.row)} here: it {_ships(shipped)}; of what is compiled, {told}"
    opened = open_words(best.still_open)
    return f"{best.model}{at} on {best.device}: {told}" + (f"; open: {opened}" if opened else "")


def comparisons(best: Best) -> list[tuple[str, str]]:
    """How it stands to the untuned cell and to other runtimes, and what cannot be told apart from it; each with its
    mood: good, bad or empty.
    """
    facts = []
    if (untuned := best.against_untuned) is not None:
        facts.append((times_words(untuned, "untuned"), _mood(untuned)))
    facts += [(times_words(rival, rival.against_title), _mood(rival)) for rival in best.worth_naming]
    if (alike := best.alike) is not None:
        facts.append(
            (times_words(alike, f"{title_of(alike.against['runtime'])} in {best.row['precision']}"), _mood(alike))
        )
    if note := untuned_note(best.row):
        facts.append((note, "bad"))
    if best.ties:
        facts.append((f"{plural(best.ties, 'other cell')} cannot be told apart from it ({TELL_APART})", ""))
    return facts


def times_words(ratio: RuntimeRatio, other: str) -> str:
    """`2.11x faster than untuned`, `at least 21.3x faster than untuned`, `not to be told apart from ONNX Runtime`; with
    `in turns` or `side by side` behind what a final has told.
    """
    told = _times_words(ratio, other)
    return told if ratio.duel is None else f"{told} {how_held(ratio.of)}"


def _times_words(ratio: RuntimeRatio, other: str) -> str:
    if ratio.is_tied:
        return f"not to be told apart from {other}"
    known = ratio.bounded
    if known is None:
        return f"open against {other}, which was disturbed as well"
    if ratio.is_exact:
        if as_times(known.value) == "1.00x":
            return f"as fast as {other}"
        return _times(known.value, as_times, other)
    if ratio.is_ahead or ratio.is_behind:
        return _times(known.value, lambda factor: f"at least {as_times(rounded_down(factor))}", other)
    if known.bound == AT_LEAST:
        return f"open against {other}, which takes {known_ms(ratio.against)}"
    return f"taking at most {as_times(rounded_up(known.value))} the time of {other}"


def known_ms(row: Row) -> str:
    """`3.36 ms`; of a disturbed cell `at most 17.9 ms`."""
    reading = Reading.of(row)
    if reading.is_exact:
        return f"{as_ms(reading.median_ms)} ms"
    return f"at most {as_ms(rounded_up(reading.high_ms))} ms"


def open_words(rows: Iterable[Row]) -> str:
    """`2 tainted and 1 failed cells may be faster (...)`; empty where nothing is open."""
    counts = Counter(row["status"] for row in rows)
    told = []
    retry = RETRY_FAILED if counts["failed"] else RETRY_TAINTED
    for command, statuses in ((retry, ("tainted", "failed")), (AGAIN, ("skipped", "pending"))):
        some = {status: counts[status] for status in statuses if counts[status]}
        if some:
            cells = "cell" if sum(some.values()) == 1 else "cells"
            which = " and ".join(f"{count} {status}" for status, count in some.items())
            told.append(f"{which} {cells} may be faster ({command})")
    return ", ".join(told)


def counted(counts: Mapping[str, int]) -> str:
    """`3 cells pending, 1 skipped`; of at least one status."""
    (status, count), *others = counts.items()
    return ", ".join([f"{plural(count, 'cell')} {status}", *(f"{many} {other}" for other, many in others)])


def _ships(shipped: Standing) -> str:
    """What is claimed of another runtime that is faster."""
    if Reading.of(shipped.row).is_exact or took_part(shipped.row):
        return _fastest_at(shipped)
    return f"takes, disturbed as it was, {known_ms(shipped.row)}"


def _fastest_at(standing: Standing) -> str:
    """`is fastest at 3.36 ms`; of a disturbed one that a final has named, `is fastest and takes at most 17.9 ms`."""
    how = "at" if Reading.of(standing.row).is_exact else "and takes, disturbed as it was,"
    return f"{_is_fastest(standing)} {how} {known_ms(standing.row)}"


def _mood(ratio: RuntimeRatio) -> str:
    return "good" if ratio.is_ahead else "bad" if ratio.is_behind else ""


def _claim(best: Best, standing: Standing) -> str:
    """What is claimed of the cell itself. `standing`: among those that the sentence is about."""
    if best.reading.is_exact or best.is_by_final:
        return _fastest_at(standing)
    told = f"takes {known_ms(best.row)}, disturbed as it was"
    beaten = best.undisturbed
    if beaten is None:
        return told
    factor = times_words(RuntimeRatio(best.row, beaten.row), configuration(beaten.row))
    told += f", {factor}, which {_is_fastest(beaten)} at {known_ms(beaten.row)}"
    if others := len(best.also_faster):
        told += f" ({plural(others, 'other tainted cell')} {'beats' if others == 1 else 'beat'} that as well)"
    return told


def _is_fastest(standing: Standing) -> str:
    """`is fastest`, as far as that is certain."""
    claim = "is among the fastest" if standing.ties else "is fastest"
    if not standing.open:
        return claim
    if took_part(standing.row):
        return f"{claim} of those compared"
    has_tainted = any(row["status"] == "tainted" for row in standing.open)
    return f"{claim} of those measured{' undisturbed' if has_tainted else ''}"


def _times(ratio: float, say: Callable[[float], str], other: str) -> str:
    """`ratio`: this latency over the other's."""
    return f"{say(1 / ratio)} faster than {other}" if ratio < 1 else f"still {say(ratio)} slower than {other}"
